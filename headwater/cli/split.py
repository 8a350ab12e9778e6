"""``split``: a service moves into a database or a cluster of its own, while writes go on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from headwater import config
from headwater.cli.errors import Refused
from headwater.cli.running import running
from headwater.config import SERVICES, Config
from headwater.migration.state import pending
from headwater.state import Home
from headwater.supervisor.lock import Lock


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    split_ = commands.add_parser("split", help="move a service into a database or a cluster of its own")
    split_.add_argument("service", choices=SERVICES)
    split_.add_argument("--to", metavar="URL", help="postgresql://postgres[:password]@host[:port]/database")
    split_.add_argument("--password-file", type=Path, metavar="FILE", help="the superuser's password")
    what = split_.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="check everything and say the steps")
    what.add_argument("--drop-old", action="store_true", help="afterwards: delete the old tables")
    what.add_argument("--give-up", action="store_true", help="before the cut-over: take everything back")
    split_.set_defaults(run=split)


def split(given: argparse.Namespace) -> int:
    home = running()
    settings = config.current()
    if (move := pending(home)) is not None:
        raise Refused(f"{move} Nothing was changed.")
    if not (given.drop_old or given.give_up):
        _supported(settings)
    lock = Lock(home.run, "split")
    if not lock.acquire():
        raise Refused(f"process {lock.holder()} is splitting already.")
    try:
        for sentence in _doing(given, home, settings):
            print(sentence, flush=True)
    finally:
        lock.release()
    return 0


def _supported(settings: Config) -> None:
    if settings.profile == "kafka":
        raise Refused(
            "this installation carries its stream over Kafka, and a service cannot be moved out of a connector's "
            "database yet. Nothing was changed."
        )
    if config.elsewhere() is not None:
        raise Refused(
            "others run the processes of this installation, and landing and dispatch must stand still on the way. "
            "Nothing was changed."
        )


def _doing(given: argparse.Namespace, home: Home, settings: Config) -> Iterator[str]:
    from headwater.splitting import run

    if given.drop_old:
        return run.drop_old(home, settings, given.service)
    if given.give_up:
        return run.give_up(home, settings, given.service)
    try:
        password = given.password_file.read_text().strip() if given.password_file else None
    except OSError as error:
        raise Refused(f"--password-file: {error}.") from None
    if given.dry_run:
        if given.to is None:
            raise Refused("say where it is to go with --to.")
        return run.plan(home, settings, given.service, given.to, password)
    return run.run(home, settings, given.service, given.to, password)
