"""The sync: claims landed batches from search's own queue and brings the engine to the state that they left.

Every step may be done again: a pass that was killed leaves its batches in the queue, and what it was writing is found
in the ledger. The queue advances once the engine has made everything findable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from search.building import Builds
from search.documents import of_mirror
from search.entities import ENTITIES
from search.errors import IndexMissing
from search.ledger import Ledger, Prepared
from search.port import Engine
from search.reconciling import reconcile
from search.refusing import refused
from search.touched import TOUCHED, collect_sql

Connection = psycopg.Connection[tuple[Any, ...]]

FAILPOINTS: Final = (
    "search.claimed",
    "search.prepared",
    "search.checked",
    "search.written",
    "search.confirmed",
    "search.before_release",
    "search.after_release",
    "search.build.begun",
    "search.build.filled",
    "search.build.finished",
)
"""Places where a test may have the process killed; whoever runs a sync says what happens there (``reach``)."""

GROUP_CHANGES: Final = 20_000
"""Changes of the batches claimed together, about; the first batch is claimed whatever its size."""

CHUNK: Final = 1_000
"""Documents read and written at a time. However far a change fans out, no more are held in memory."""

EXAMINE_SECONDS: Final = 10.0
"""Between looks at the indexes while nothing is written: an engine may have been emptied or restored meanwhile."""


Traced = Callable[[Connection, Sequence[int]], AbstractContextManager[object]]
"""What surrounds the work on these batches: spans in their writes' traces, where somebody follows them."""


def untraced(connection: Connection, batches: Sequence[int]) -> AbstractContextManager[object]:
    """For processes that nobody traces."""
    return nullcontext()


def nowhere(point: str) -> None:
    """Fail-points of a process in which none is armed."""


@dataclass(slots=True)
class Pass:
    """What one pass did. ``put`` and ``removed`` count documents written, ``read`` those looked at."""

    batches: int = 0
    read: int = 0
    put: int = 0
    removed: int = 0
    refused: int = 0
    followed: list[str] = field(default_factory=list)


class Sync:
    """Keeps ``engine`` up with one warehouse over ``connection`` (autocommit, ``wh_owner``, used by nothing else).

    Whoever makes one holds the lease (``search.lease``); without it the ledger still has the newest document win.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        reach: Callable[[str], None] = nowhere,
        traced: Traced = untraced,
    ) -> None:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        # Never a plan made for other keys; and through indexes, whatever the planner guesses of a batch's size.
        connection.prepare_threshold = None
        connection.execute("set enable_seqscan = off")
        connection.execute(
            "create temporary table if not exists touched (entity text, id uuid, primary key (entity, id))"
        )
        self._connection = connection
        self._raw = psycopg.RawCursor(connection)
        self._engine = engine
        self._reach = reach
        self._traced = traced
        self._examined = -EXAMINE_SECONDS
        self._ledger = Ledger(connection, uuid4())
        self.builds = Builds(connection, engine, self._ledger, reach)

    def is_due(self) -> bool:
        """Whether there is anything to do: batches, documents left behind, a table read anew, an index to build."""
        if self.builds.under_way:
            return True
        if time.monotonic() - self._examined >= EXAMINE_SECONDS:
            self._examined = time.monotonic()
            if self.builds.look():
                return True
        return bool(
            self._value(
                "select exists (select from log.queue where consumer = 'search')"
                " or exists (select from search.to_follow)"
            )
            or self._ledger.left_behind(1)
        )

    def run_pass(self) -> Pass:
        """One group of batches, and one step of every index that is being built.

        Raises EngineUnavailable, IndexLocked and psycopg's errors, after which a new Sync goes on where this one was.
        """
        done = Pass()
        try:
            self._run(done)
        except IndexMissing:
            # What was claimed stays in the queue; with an index to write into, the next pass takes it.
            if not self.builds.look():
                raise
        self.builds.step()
        return done

    def _run(self, done: Pass) -> None:
        self._adopt(done)
        if not self.builds.under_way:
            self._follow(done)
        batches = self._claim()
        if batches:
            with self._traced(self._connection, batches):
                self._take(batches, done)

    def _take(self, batches: Sequence[int], done: Pass) -> None:
        self._reach("search.claimed")
        truncated = self._collect(batches)
        for entity in ENTITIES:
            self._bring(entity.name, done)
        for name in truncated:
            self._reconcile(name, done)
        self._reach("search.before_release")
        self._release(batches)
        done.batches = len(batches)
        self._reach("search.after_release")

    def bring(self, entity: str, ids: Sequence[UUID], done: Pass, *, force: bool = False) -> None:
        """Brings these documents to their present state, whoever else writes them meanwhile.

        Raises IndexMissing if the entity has no index, which is built on the next pass.
        """
        left = list(ids)
        done.read += len(left)
        while left:
            building = self.builds.is_building(entity)
            prepared = self._ledger.prepare(entity, left, force=force, building=building)
            self._reach("search.prepared")
            left = self._deliver(prepared, done) if prepared.versions else []

    def _deliver(self, prepared: Prepared, done: Pass) -> list[UUID]:
        """Gives the engine what is still the newest; answers what was overtaken and must be prepared anew."""
        newest = self._ledger.newest(prepared)
        self._reach("search.checked")
        kept = self._write(newest, done) if newest.versions else set()
        self._reach("search.written")
        overtaken = self._ledger.confirm(prepared.only(prepared.versions.keys() - kept))
        self._reach("search.confirmed")
        return overtaken

    def _write(self, prepared: Prepared, done: Pass) -> set[UUID]:
        """Writes everything that the engine takes. What it refuses is set aside (the answer), and not found any more:
        as it was before, it may have been in somebody's sight who may not see it now.
        """
        entity, version = prepared.entity, max(prepared.versions.values())
        if prepared.remove or not prepared.put:
            self._engine.write(entity, [], list(prepared.remove), version)
        aside = refused(
            lambda documents: self._engine.write(entity, documents, [], version), list(prepared.put.values())
        )
        for document, error in aside:
            self._engine.write(entity, [], [document.id], version)
            self._ledger.refuse(entity, document.id, error)
        done.put += len(prepared.put) - len(aside)
        done.removed += len(prepared.remove)
        done.refused += len(aside)
        return {document.id for document, _ in aside}

    def _adopt(self, done: Pass) -> None:
        """Writes anew what other writers left behind."""
        while left := self._ledger.left_behind(CHUNK):
            for entity in dict.fromkeys(entity for entity, _ in left):
                ids = [id for name, id in left if name == entity]
                self.bring(entity, ids, done, force=True)
                self._ledger.adopt(entity, ids)

    def _follow(self, done: Pass) -> None:
        """Compares whole entities whose mirror changed without images: a repair, a re-read, a dropped table."""
        facts = self._connection.execute("select fact, schema_name, table_name from search.to_follow").fetchall()
        for entity in ENTITIES:
            if any(schema is None or (schema, table) in TOUCHED[entity.name] for _, schema, table in facts):
                self._reconcile(entity.name, done)
                done.followed.append(entity.name)
        if facts:
            self._connection.execute(
                "insert into search.followed (fact) select unnest(%s::text[]) on conflict do nothing",
                [[fact for fact, *_ in facts]],
            )

    def _reconcile(self, entity: str, done: Pass) -> None:
        for difference in reconcile(self._connection, self._engine, entity):
            self.bring(entity, difference.ids, done, force=True)

    def _claim(self) -> list[int]:
        rows = self._connection.execute(
            "select batch_id from ("
            " select queue.batch_id, sum(coalesce(batch.changes, 0)) over (order by queue.batch_id)"
            " - coalesce(batch.changes, 0) as before"
            " from (select batch_id from log.queue where consumer = 'search' order by batch_id limit 1000) as queue"
            " left join log.batch as batch using (batch_id)) as counted where before < %s order by batch_id",
            [GROUP_CHANGES],
        )
        return [batch_id for (batch_id,) in rows]

    def _collect(self, batches: Sequence[int]) -> list[str]:
        """Notes every document that the batches concern in ``touched``; answers entities that a truncation concerns."""
        self._connection.execute("truncate touched")
        rows = self._raw.execute(
            "select schema_name, table_name, bool_or(op = 't'), array_agg(distinct landed_on)"
            " from log.change_log where batch_id = any($1::bigint[]) group by 1, 2",
            [list(batches)],
        ).fetchall()
        days = sorted({day for *_, landed_on in rows for day in landed_on})
        whole = []
        for entity, tables in TOUCHED.items():
            for schema, table, truncated, _ in rows:
                if (schema, table) in tables:
                    with of_mirror():
                        self._raw.execute(collect_sql(entity, (schema, table)).encode(), [list(batches), days])
                    if truncated:
                        whole.append(entity)
        self._connection.execute("analyze touched")
        return list(dict.fromkeys(whole))

    def _bring(self, entity: str, done: Pass) -> None:
        after: UUID | None = None
        while True:
            ids = [
                id
                for (id,) in self._connection.execute(
                    "select id from touched where entity = %s and (%s::uuid is null or id > %s) order by id limit %s",
                    [entity, after, after, CHUNK],
                )
            ]
            if not ids:
                return
            self.bring(entity, ids, done)
            after = ids[-1]

    def _release(self, batches: Sequence[int]) -> None:
        self._connection.execute(
            "delete from log.queue where consumer = 'search' and batch_id = any(%s)", [list(batches)]
        )

    def _value(self, query: str) -> Any:
        row = self._connection.execute(query.encode()).fetchone()
        return row[0] if row else None
