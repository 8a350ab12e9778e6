"""Replicas against their masters: what differs, and putting it right through a command of the replica's own service.

A replica follows its master by events. Rows that were changed by hand, restored from an older backup, or never reached
are found here by reading the master page by page. The columns that a replica should have come from the very function
that applies events, so that the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.db import models
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from transactional.contracts.base import Command
from transactional.kernel.calls import fetch, fetch_page, invoke
from transactional.kernel.context import Context
from transactional.kernel.inbox import InboundEvent, upsert_replicas
from transactional.kernel.problems import Problem, Rejected, from_validation
from transactional.kernel.registry import RegistryError

PAGE = 500
"""Rows read from the master at once, and mended by one command at most."""

Kind = Literal["missing", "behind", "ahead", "different", "orphan"]


@dataclass(frozen=True)
class Replica:
    """A table that follows rows of another service.

    ``consumer`` is the handler that applies events and the replica's name, ``columns`` that handler's function.
    ``source`` is the master's resource, whose key is named ``key`` there. ``mend`` is the command that takes
    ``MendReplica``.
    """

    consumer: str
    model: type[models.Model]
    source: str
    key: str
    columns: Callable[[InboundEvent], Mapping[str, Any]]
    mend: str

    @property
    def service(self) -> str:
        return self.consumer.partition(".")[0]

    def expected(self, key: UUID, version: int, state: Mapping[str, Any]) -> dict[str, Any]:
        """The replica's columns for the master's ``state`` (the resource as its API shows it).

        Raises pydantic's ValidationError for a state that is no such resource.
        """
        event = InboundEvent(
            id=UUID(int=0),
            type="",
            schema_version=1,
            aggregate_type=self.source.partition(".")[2],
            aggregate_id=key,
            aggregate_version=version,
            payload=state,
            occurred_at=datetime.now(UTC),
        )
        return dict(self.columns(event))


@dataclass(frozen=True)
class Drift:
    """One row that is not what its master says.

    ``missing``: not here. ``behind``: an older version, which an event under way may still bring. ``ahead``: a version
    the master never had. ``different``: the same version, other values. ``orphan``: the master has no such row; never
    mended, because the replica may hold what its service knows alone. ``fields``: column → (here, master).
    """

    kind: Kind
    key: UUID
    version_here: int | None
    version_there: int | None
    fields: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def row(self) -> dict[str, object]:
        """What a mend command needs to put the row right: the fields of ``MendRow``."""
        return {
            "key": self.key,
            "version": self.version_there,
            "seen_version": self.version_here,
            "state": self.state,
        }


@dataclass
class Report:
    """``compared`` rows of the master, what drifted, and how many of those rows were ``mended``."""

    replica: str
    source: str
    compared: int = 0
    drifts: list[Drift] = field(default_factory=list)
    mended: int = 0


class MendRow(BaseModel):
    """The master's row, and the version the replica had when it was compared (null: it was missing)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    key: UUID
    version: int = Field(ge=1, lt=2**63)
    seen_version: int | None
    state: dict[str, JsonValue]


class MendReplica(Command):
    """Make rows of a replica what its master says. Rows that events have reached in the meantime are left alone."""

    rows: list[MendRow] = Field(max_length=PAGE)


class Mended(BaseModel):
    """How many rows were written; the others had moved on."""

    mended: int


_replicas: dict[str, Replica] = {}


def declare(replica: Replica) -> Replica:
    """Makes a replica known to ``reconcile``."""
    if replica.consumer in _replicas:
        raise RegistryError(f"Replica {replica.consumer} is declared twice.")
    _replicas[replica.consumer] = replica
    return replica


def replicas(service: str | None = None) -> list[Replica]:
    """The declared replicas of the hosted services, or of one."""
    return [replica for replica in _replicas.values() if service in (None, replica.service)]


def reconcile(replica: Replica, ctx: Context, *, mend: bool = False) -> Report:
    """Compares the whole replica with its master and, if asked, mends it.

    ``ctx`` must be allowed to read every row of the master (a service's token). Raises what the services answer.
    """
    report = Report(replica.consumer, replica.source)
    known: set[UUID] = set()
    for page in _pages(replica, ctx):
        known.update(UUID(state[replica.key]) for state in page)
        report.drifts += _compare(replica, page, ctx)
    report.compared = len(known)
    report.drifts += _orphans(replica, known, ctx)
    if mend:
        wrong = [drift for drift in report.drifts if drift.kind != "orphan"]
        for start in range(0, len(wrong), PAGE):
            part = wrong[start : start + PAGE]
            report.mended += invoke(replica.mend, {"rows": [drift.row() for drift in part]}, ctx).data["mended"]
    return report


def mend(replica: Replica, cmd: MendReplica) -> Mended:
    """The body of a service's mend command, in its transaction."""
    keys = [wanted.key for wanted in cmd.rows]
    rows: Iterable[Any] = replica.model._default_manager.filter(pk__in=keys).order_by("pk").select_for_update()
    present = {row.pk: row for row in rows}
    missing: dict[UUID, tuple[UUID, int, Mapping[str, Any]]] = {}
    mended = 0
    for index, wanted in enumerate(cmd.rows):
        try:
            columns = replica.expected(wanted.key, wanted.version, wanted.state)
        except ValidationError as error:
            raise Rejected(
                f"Row {index} is no {replica.source}.", errors=from_validation(error, f"rows.{index}.state")
            ) from None
        row = present.get(wanted.key)
        if row is None:
            missing[wanted.key] = (wanted.key, wanted.version, columns)
        elif row.replica_version == wanted.seen_version and row.change(**columns, replica_version=wanted.version):
            mended += 1
    upsert_replicas(replica.service, replica.model, list(missing.values()))
    return Mended(mended=mended + len(missing))


def _pages(replica: Replica, ctx: Context) -> Iterator[list[dict[str, Any]]]:
    after: str | None = None
    while True:
        page = fetch_page(replica.source, {"limit": str(PAGE), **({"after": after} if after else {})}, ctx)
        yield page["items"]
        after = page["next"]
        if after is None:
            return


def _compare(replica: Replica, page: Sequence[Mapping[str, Any]], ctx: Context) -> Iterator[Drift]:
    keys = [UUID(state[replica.key]) for state in page]
    here: dict[UUID, Any] = {row.pk: row for row in replica.model._default_manager.filter(pk__in=keys)}
    for key, state in zip(keys, page, strict=True):
        row = here.get(key)
        if row is not None and row.replica_version > state["version"]:
            # The page is older than the replica's row: the master as it is now decides.
            state = fetch(replica.source, key, ctx)
        drift = _drift(replica, key, row, state)
        if drift is not None:
            yield drift


def _drift(replica: Replica, key: UUID, row: Any, state: Mapping[str, Any]) -> Drift | None:
    version = state["version"]
    if row is None:
        return Drift("missing", key, None, version, state=state)
    expected = replica.expected(key, version, state)
    fields = {name: (getattr(row, name), value) for name, value in expected.items() if getattr(row, name) != value}
    if row.replica_version == version and not fields:
        return None
    kind: Kind = "different"
    if row.replica_version != version:
        kind = "behind" if row.replica_version < version else "ahead"
    return Drift(kind, key, row.replica_version, version, fields, state)


def _orphans(replica: Replica, known: Set[UUID], ctx: Context) -> Iterator[Drift]:
    """Rows whose key the master did not list. It may have made them since, so each is asked for by name."""
    rows = replica.model._default_manager.values_list("pk", "replica_version").iterator(chunk_size=10_000)
    for key, version in rows:
        if key in known:
            continue
        try:
            fetch(replica.source, key, ctx)
        except Problem as problem:
            if problem.status != 404:
                raise
            yield Drift("orphan", key, version, None)
