"""What the Stream page asks of the installation. The composition root answers: ``settings.HEADWATER_OPERATIONS``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class Change:
    """A row that changed in a service, as it came by. ``object_type`` and ``key`` name the record; ``lag_seconds`` is
    from its commit until it began to be landed."""

    source: str
    object_type: str
    key: str
    op: str
    command: str | None
    actor: str | None
    actor_id: str | None
    committed_at: datetime
    lag_seconds: float


@dataclass(frozen=True)
class Tick:
    """``changes`` landed in the ten seconds from ``at`` on; ``slowest`` is the longest lag among them in seconds."""

    at: datetime
    changes: int
    slowest: float


@dataclass(frozen=True)
class Source:
    """A database whose log is read. ``unread`` and ``kept`` are bytes of it; ``lsn`` is how far it is stored."""

    name: str
    reader: str
    attached: bool
    state: str
    lsn: str | None
    unread: int | None
    kept: int | None
    lag_seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Queue:
    """What a consumer has yet to take: ``kind`` is batches (of the warehouse) or events (for a service)."""

    consumer: str
    kind: str
    pending: int
    oldest_seconds: float
    retrying: int = 0
    parked: int = 0


@dataclass(frozen=True)
class Process:
    """``last_end`` is when it last ended by itself or was killed, ``how`` by what; ``recovered_after`` seconds it was
    at work again, None while it is not."""

    name: str
    state: str
    memory: int | None
    uptime: float | None
    restarts: int
    last_end: datetime | None
    how: str
    recovered_after: float | None
    error: str | None


@dataclass(frozen=True)
class Parked:
    """Something set aside because it could not be applied. ``key`` names it to ``replay`` where that can be done."""

    kind: str
    key: str
    what: str
    where: str
    waiting: int
    attempts: int | None
    since: datetime | None
    reason: str
    replayable: bool = True


@dataclass(frozen=True)
class State:
    """``problems`` are databases, or Kafka, that gave no answer: what they know is left out. ``as_of``: when it was
    looked at."""

    as_of: datetime
    sources: Sequence[Source] = ()
    queues: Sequence[Queue] = ()
    processes: Sequence[Process] = ()
    problems: Sequence[str] = field(default_factory=tuple)
    dagster: str | None = None


class Operations(Protocol):
    """``passing``, ``ticks`` and ``parked`` raise WarehouseUnavailable where the warehouse gives no answer."""

    def state(self) -> State: ...

    def passing(self, limit: int) -> list[Change]:
        """The latest changes, newest first."""

    def ticks(self) -> list[Tick]:
        """The last ten minutes, oldest first, without a gap."""

    def parked(self) -> list[Parked]: ...

    def replay(self, kind: str, key: str) -> str:
        """Tries one parked thing again and says what became of it. Raises LookupError where it is not parked."""


def operations() -> Operations:
    """This installation's."""
    return cast("Operations", import_string(settings.HEADWATER_OPERATIONS)())
