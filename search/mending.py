"""For people: building every index anew, and comparing every index with its documents, each under the lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

from search.engines import open_engine
from search.entities import ENTITIES
from search.lease import leased
from search.place import Place
from search.reconciling import reconcile
from search.sync import Pass, Sync

SHOWN = 20
"""Differences of a kind that a report names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Built:
    entity: str
    documents: int
    seconds: float


@dataclass(slots=True)
class Report:
    """What one entity's index differed in. ``counts`` and ``examples`` are by kind of difference."""

    entity: str
    documents: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[UUID]] = field(default_factory=dict)
    mended: int = 0

    @property
    def differences(self) -> int:
        return sum(self.counts.values())


def rebuild(warehouse_dsn: str, place: Place) -> Iterator[Built]:
    """Builds every index beside the one that is searched, keeping up with what lands, and swaps it in.

    Raises IndexLocked while another process writes, and SearchError where the engine does not take it.
    """
    with closing(open_engine(place)) as engine, leased(warehouse_dsn) as connection:
        sync = Sync(connection, engine)
        waiting = [entity.name for entity in ENTITIES]
        for name in waiting:
            if not sync.builds.is_building(name):
                sync.builds.begin(name, "somebody asked for it")
        while sync.is_due():
            sync.run_pass()
            for name in [name for name in waiting if not sync.builds.is_building(name)]:
                waiting.remove(name)
                row = connection.execute("select seconds from search.standing where entity = %s", [name]).fetchone()
                yield Built(name, engine.examine(name).documents, row[0] if row else 0.0)


def compare(warehouse_dsn: str, place: Place, *, mend: bool) -> Iterator[Report]:
    """Compares every index, after what has landed was written; ``mend`` brings what differs to its present state."""
    with closing(open_engine(place)) as engine, leased(warehouse_dsn) as connection:
        sync = Sync(connection, engine)
        while sync.is_due():
            sync.run_pass()
        for entity in ENTITIES:
            report = Report(entity.name)
            for difference in reconcile(connection, engine, entity.name):
                report.counts[difference.kind] = report.counts.get(difference.kind, 0) + len(difference.ids)
                examples = report.examples.setdefault(difference.kind, [])
                examples += difference.ids[: SHOWN - len(examples)]
                if mend:
                    sync.bring(entity.name, difference.ids, Pass(), force=True)
                    report.mended += len(difference.ids)
            report.documents = engine.examine(entity.name).documents
            yield report
