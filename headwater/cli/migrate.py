"""``migrate-to-kafka`` and ``migrate-to-embedded``: another profile for an installation that runs."""

from __future__ import annotations

import argparse
from types import ModuleType

from headwater import config
from headwater.cli.running import running


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser("migrate-to-kafka", help="hand the stream to Debezium and Kafka while people write")
    up.set_defaults(run=to_kafka)
    back = commands.add_parser("migrate-to-embedded", help="take the stream back from Kafka while people write")
    back.set_defaults(run=to_embedded)
    for one in (up, back):
        one.add_argument("--dry-run", action="store_true", help="check, say the steps, and change nothing")


def to_kafka(given: argparse.Namespace) -> int:
    from headwater.migration import up

    return _move(given, up)


def to_embedded(given: argparse.Namespace) -> int:
    from headwater.migration import back

    return _move(given, back)


def _move(given: argparse.Namespace, way: ModuleType) -> int:
    home = running()
    settings = config.read(home.root)
    if given.dry_run:
        begun = way.check(home, settings)
        if begun is not None:
            print(begun)
        for number, step in enumerate(way.STEPS, start=1):
            print(f"{number}. {step}")
        return 0
    for sentence in way.run(home, settings):
        print(sentence, flush=True)
    return 0
