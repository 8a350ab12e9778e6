"""The ``headwater`` command: a module per group of commands, one function per command.

Exit codes: 0 done; 1 it could not be done, and the message says why and what to do; 2 the command line is wrong;
3 the answer is "no" (``status`` of a stopped system, ``doctor`` with findings, replicas that differ).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from headwater.cli import (
    backup,
    connectors,
    data,
    erase,
    gateway,
    history,
    lifecycle,
    mend,
    migrate,
    observe,
    serving,
    split,
)
from headwater.cli.errors import sentence

Command = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="headwater",
        description="An integrated CRM and ERP whose every write is a stream.",
        epilog="State lives in .headwater/ of the working directory, or where HEADWATER_HOME points.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (lifecycle, observe, connectors, migrate, history, data, mend, erase, backup, split, gateway, serving):
        group.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. What a user did wrong is a sentence, never a traceback."""
    given = parser().parse_args(arguments)
    # Whatever other Django project the shell was set up for, the processes started from here are ours.
    os.environ["DJANGO_SETTINGS_MODULE"] = "headwater.settings"
    run: Command = given.run
    try:
        return run(given)
    except KeyboardInterrupt:
        print(f"headwater {given.command}: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `headwater status | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        told = sentence(error)
        if told is None:
            raise
        print(f"headwater {given.command}: {told}", file=sys.stderr)
        return 1
