"""``erase``: forgets a person in every copy, past ones included."""

from __future__ import annotations

import argparse
import sys

from headwater import config
from headwater.cli.errors import Refused
from headwater.cli.running import running


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    erase_ = commands.add_parser("erase", help="forget a person: row, history, files; nothing brings them back")
    erase_.add_argument("person", help="contacts/<id>")
    erase_.add_argument("--reason", default="headwater erase", help="stands in the audit, which stays")
    erase_.add_argument("--yes", action="store_true", help="do not ask")
    erase_.set_defaults(run=erase)


def erase(given: argparse.Namespace) -> int:
    home = running()
    if not given.yes:
        if not sys.stdin.isatty():
            raise Refused("this cannot be undone; say --yes where nobody can be asked.")
        if input(f"Erase {given.person} for good? Type yes: ").strip() != "yes":
            raise Refused("nothing was erased.")
    from headwater.erasing import erase_person

    left = False
    for sentence in erase_person(home, config.current(), given.person, reason=given.reason):
        left = left or sentence.startswith("! ")
        print(sentence, flush=True)
    return 3 if left else 0
