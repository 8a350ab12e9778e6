"""Indexes that have to be built: absent, damaged, older than what was written, or made for other settings.

The new index grows beside the one that is searched, a step after each pass of the sync, whose writes go into both; then
it takes the other's place in one step. Nobody waits, and nothing that was written meanwhile is missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from search.documents import fingerprint, load, root_ids
from search.entities import BY_NAME, ENTITIES
from search.errors import SearchError
from search.ledger import Ledger
from search.port import Engine
from search.refusing import refused

Connection = psycopg.Connection[tuple[Any, ...]]

STEP_SECONDS: Final = 0.2
"""How long an index grows between two passes: so much later is a change found while one is being built."""

CHUNK: Final = 2_000
"""Documents read and given to the engine at a time."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Build:
    """An index under way: ``after`` is the last key that it holds."""

    entity: str
    fingerprint: str
    reason: str
    after: UUID | None = None
    documents: int = 0
    began: float = field(default_factory=time.monotonic)


class Builds:
    """The indexes being built by one sync. One that is cut short begins anew with the next process."""

    def __init__(self, connection: Connection, engine: Engine, ledger: Ledger, reach: Callable[[str], None]) -> None:
        self._connection = connection
        self._engine = engine
        self._ledger = ledger
        self._reach = reach
        self.under_way: dict[str, Build] = {}

    def is_building(self, entity: str) -> bool:
        return entity in self.under_way

    def look(self) -> bool:
        """Examines every index and begins those that have to be built; whether any is under way now."""
        for entity in ENTITIES:
            if entity.name not in self.under_way:
                reason = self.reason(entity.name)
                if reason:
                    self.begin(entity.name, reason)
        return bool(self.under_way)

    def reason(self, entity: str) -> str | None:
        """Why the entity's index has to be built; None if it is as it should be."""
        standing = self._engine.examine(entity, thoroughly=True)
        if standing.problem:
            return standing.problem
        if standing.fingerprint != self._fingerprint(entity):
            return "it was made for other documents or settings"
        written = self._value("select version from search.standing where entity = %s", entity) or 0
        if standing.version < written:
            return f"it is older than what was written to it (version {standing.version} instead of {written})"
        if standing.version > (self._value("select last_value from search.version") or 0):
            return f"it is of another warehouse, or of a time after the backup that was restored ({standing.version})"
        return None

    def begin(self, entity: str, reason: str) -> None:
        log.info("the index of %s is built anew: %s", entity, reason)
        build = Build(entity, self._fingerprint(entity), reason)
        self._connection.execute(
            "insert into search.standing as known (entity, engine, fingerprint, era, version, reason, seconds)"
            " values (%s, %s, '', 1, 0, %s, 0) on conflict (entity) do update set era = known.era + 1",
            [entity, self._engine.name, reason],
        )
        self._engine.begin(entity, build.fingerprint)
        self.under_way[entity] = build
        self._reach("search.build.begun")

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Lets the indexes under way grow for about so long; those that hold everything take their place."""
        until = time.monotonic() + seconds
        while self.under_way and time.monotonic() < until:
            build = next(iter(self.under_way.values()))
            try:
                self._grow(build)
            except SearchError:
                # What the engine holds of it is not known: it is begun anew when the indexes are examined again.
                del self.under_way[build.entity]
                raise

    def _grow(self, build: Build) -> None:
        ids = root_ids(self._connection, build.entity, build.after, CHUNK)
        if not ids:
            self._finish(build)
            return
        documents = load(self._connection, build.entity, ids)
        for document, error in refused(lambda some: self._engine.fill(build.entity, some), list(documents.values())):
            self._ledger.refuse(build.entity, document.id, error)
        build.after = ids[-1]
        build.documents += len(documents)
        self._reach("search.build.filled")

    def _finish(self, build: Build) -> None:
        version = self._value("select last_value from search.version") or 0
        self._engine.finish(build.entity, version)
        self._reach("search.build.finished")
        seconds = time.monotonic() - build.began
        self._connection.execute(
            "update search.standing set engine = %s, fingerprint = %s, version = %s, reason = %s,"
            " built_at = clock_timestamp(), seconds = %s where entity = %s",
            [self._engine.name, build.fingerprint, version, build.reason, seconds, build.entity],
        )
        del self.under_way[build.entity]
        log.info("the index of %s holds %d documents after %.1f s", build.entity, build.documents, seconds)

    def _fingerprint(self, entity: str) -> str:
        return fingerprint(BY_NAME[entity], self._engine.settings(entity))

    def _value(self, query: str, *parameters: object) -> Any:
        row = self._connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None
