"""How far a move between profiles has come: ``<home>/migration.json``, there from the first step to the last."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cdc.errors import StreamError
from headwater.state import Home, read_json, write_json

COMMANDS = {"kafka": "headwater migrate-to-kafka", "embedded": "headwater migrate-to-embedded"}


@dataclass(frozen=True, slots=True)
class Move:
    """``to`` is the profile it leads to; ``step`` the last one begun. ``kafka_ports`` are those of processes that run
    before the installation is of the Kafka profile."""

    to: str
    step: str
    began: str
    kafka_ports: dict[str, int] = field(default_factory=dict)

    @property
    def command(self) -> str:
        return COMMANDS[self.to]

    def __str__(self) -> str:
        return (
            f"A move to the {self.to} profile was begun at {self.began} and is not finished (step: {self.step}); "
            f"`{self.command}` goes on with it."
        )


class MoveUnderWay(StreamError):
    """Connectors are being taken down, or a source is between two readers."""

    def __init__(self, move: Move) -> None:
        super().__init__(f"{move} Until then nothing else may touch connectors and slots.")


LEAVING = "leaving"
"""From this step on no connector may come back: the slots are no longer Debezium's."""


def pending(home: Home) -> Move | None:
    """The move that is not finished; None if there is none."""
    found = read_json(_path(home))
    return Move(**found) if found else None


def record(home: Home, move: Move, step: str) -> Move:
    """Says durably that ``step`` begins."""
    begun = replace(move, step=step)
    write_json(_path(home), asdict(begun))
    flush(_path(home))
    return begun


def clear(home: Home) -> None:
    _path(home).unlink(missing_ok=True)
    flush(home.root)


def refuse_while_leaving(home: Home) -> None:
    """Raises MoveUnderWay where a connector would take a slot's stream away from landing."""
    move = pending(home)
    if move is not None and move.step == LEAVING:
        raise MoveUnderWay(move)


def _path(home: Home) -> Path:
    return home.root / "migration.json"


def flush(path: Path) -> None:
    """Has a file, or what was renamed in a directory or removed from it, survive a loss of power."""
    for place in {path, path.parent} if path.is_file() else {path}:
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
