"""Which processes carry the stream, as the configuration and a move between profiles say at this moment."""

from __future__ import annotations

from dataclasses import replace

from headwater import config
from headwater.migration import state
from headwater.state import Home
from headwater.supervisor import layout
from headwater.supervisor.child import Spec

KINDS = frozenset({"broker", "connect", "connectors", "landing", "dispatch", "jobs", "search", "lake"})
"""Kinds of processes that ``processes`` names if they are to run."""

Stamp = tuple[tuple[int, int] | None, ...]


def stamp(home: Home) -> Stamp:
    """Another one whenever the configuration or the move was written anew."""
    return tuple(_stamp(home, name) for name in ("config.json", "migration.json"))


def processes(home: Home) -> list[Spec]:
    """Kafka's where there are any, and the workers, in the order of their start. Raises ConfigError or KafkaError."""
    settings, move = config.read(home.root), state.pending(home)
    ports = settings.kafka_ports or (move.kafka_ports if move is not None else {})
    return [*layout.kafka(home, replace(settings, kafka_ports=ports)), *layout.workers(home, settings)]


def _stamp(home: Home, name: str) -> tuple[int, int] | None:
    try:
        found = (home.root / name).stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
