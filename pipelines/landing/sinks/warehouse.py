"""The warehouse as a sink: one batch is one transaction of mirror, change log, audit, queues and position."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar

import psycopg

from cdc.events import Batch, ChangeEvent, Transaction
from cdc.failpoints import reach
from cdc.positions import Epoch, Position, format_lsn, parse_lsn
from cdc.snapshot import SnapshotChunk
from cdc.snapshot_progress import SnapshotProgress
from pipelines import tracing
from pipelines.landing import audit
from pipelines.landing.change_lines import COPY, ChangeLines
from pipelines.landing.epochs import set_aside, start_epoch
from pipelines.landing.errors import SinkUnavailable, SourceTaken, is_refusal
from pipelines.landing.lease import PATIENCE, take_lease
from pipelines.landing.mirrors import Connection, Mirrors
from pipelines.landing.parking import PARKED_KEYS_SQL, Parked
from pipelines.landing.schema_changes import apply_schema_change, forget, known_tables, remember, settle_key
from pipelines.landing.segments import segments
from pipelines.landing.sinks.port import Mode, Purpose, State, Stored
from pipelines.landing.snapshots import (
    Snapshot,
    add_snapshot,
    completes_table,
    finish_table,
    load_rereads,
    load_snapshots,
    prepare_table,
    store_progress,
    sweep,
    transaction_of,
)
from pipelines.landing.text import timestamp_text
from pipelines.landing.writer import MirrorWriter
from warehouse.change_log import ensure_partitions

UNMIRRORED: Final = frozenset({"outbox"})
"""Tables, in any schema, whose changes go to the change log alone."""

_SESSION: Final = (
    "-c synchronous_commit=on -c timezone=UTC -c datestyle=ISO,MDY -c intervalstyle=postgres -c search_path=pg_catalog"
    # A reader that holds a mirror for long must not stop the stream for ever when its table changes: we try again.
    " -c lock_timeout=10s"
    # A landing process that hangs with an open transaction would keep the source from its successor.
    " -c idle_in_transaction_session_timeout=300s"
)
_Result = TypeVar("_Result")
_POSITION: Final = "select epoch, system_id, timeline, slot, lsn::text from log.position where source = %s"


class WarehouseSink:
    """Lands ``source`` in the warehouse at ``dsn`` (role ``wh_owner``). Not for use by several threads at once.

    ``patience``: seconds that ``open`` waits for another process to give the source up.
    """

    def __init__(
        self, dsn: str, source: str, *, unmirrored: frozenset[str] = UNMIRRORED, patience: float = PATIENCE
    ) -> None:
        self.source = source
        self._patience = patience
        self._dsn = dsn
        self._unmirrored = unmirrored
        self._connection: Connection | None = None
        self._mirrors: Mirrors | None = None
        self._epoch = 0
        self._covered = self._looked_on = date.min

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError(f"the sink of source {self.source} is not open")
        return self._connection

    @property
    def mirrors(self) -> Mirrors:
        if self._mirrors is None:
            raise RuntimeError(f"the sink of source {self.source} is not open")
        return self._mirrors

    @property
    def epoch(self) -> int:
        """The number of the present epoch in ``log.epoch``."""
        return self._epoch

    def open(self) -> Position | None:
        self.close()
        with self._available():
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                options=_SESSION,
                application_name=f"headwater landing {self.source}",
                connect_timeout=5,
                keepalives_idle=10,
            )
            self._connection.prepared_max = 1000
            self._take_source(self._connection)
            self._mirrors = Mirrors(self._connection, self.source, self._unmirrored)
            self._mirrors.load()
            return self.position()

    def position(self) -> Position | None:
        """The stored position, of a sink that is open."""
        with self._available():
            return self._position(self.connection.execute(_POSITION, [self.source]).fetchone())

    def begin_epoch(self, position: Position, purpose: Purpose, snapshot: SnapshotProgress | None) -> None:
        with self._available(), self.connection.transaction():
            reach("snapshot.before_epoch")
            if purpose == "repair":
                set_aside(self.connection, self.mirrors, position, snapshot)
            self._epoch = start_epoch(self.connection, position, purpose)
            if snapshot is not None:
                add_snapshot(self.connection, self.source, self._epoch, purpose, snapshot)
        reach("snapshot.after_epoch")

    def follow(self, timeline: int) -> None:
        with self._available():
            self.connection.execute("update log.position set timeline = %s where source = %s", [timeline, self.source])

    def snapshots(self) -> list[Snapshot]:
        with self._available():
            return load_snapshots(self.connection, self.source, self._epoch)

    def rereads(self) -> list[Snapshot]:
        """The tables to be read again, oldest request first."""
        with self._available():
            return load_rereads(self.connection, self.source, self._epoch)

    def known_tables(self) -> dict[int, Mapping[str, Any]]:
        with self._available():
            return known_tables(self.connection, self.source)

    def remember(self, tables: Mapping[int, Mapping[str, Any]]) -> None:
        with self._available(), self.connection.transaction():
            forget(self.connection, self.source)
            remember(self.connection, self.source, tables)

    def store(self, batch: Batch) -> Stored:
        with self._available():
            return self._around_refused(lambda careful: self._store(batch, careful))

    def store_chunk(self, snapshot: Snapshot, chunk: SnapshotChunk) -> int:
        with self._available():
            return self._around_refused(lambda careful: self._store_chunk(snapshot, chunk, careful))

    def set_state(self, state: State, error: str | None, schema_changes: Mode | None = None) -> None:
        """Says in ``log.source_state`` what landing does with the source; nothing if the warehouse is away."""
        if self._connection is None:
            return
        with self._available():
            self._connection.execute(
                "insert into log.source_state (source, state, error, schema_changes) values (%s, %s, %s, %s)"
                " on conflict (source) do update set state = excluded.state, error = excluded.error,"
                " schema_changes = coalesce(excluded.schema_changes, source_state.schema_changes),"
                " since = case when source_state.state = excluded.state then source_state.since else now() end,"
                " updated_at = now()",
                [self.source, state, error, schema_changes],
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take_source(self, connection: Connection) -> None:
        take_lease(connection, self.source, patience=self._patience)

    def _writer(self, parked: Parked, *, careful: bool, read: bool) -> MirrorWriter:
        return MirrorWriter(self.connection, self.mirrors, parked, careful=careful, read=read)

    def _around_refused(self, store: Callable[[bool], _Result]) -> _Result:
        """``store(careful)``: first without care; if the warehouse refuses something, once more around it."""
        try:
            return store(False)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
        self.mirrors.load()
        return store(True)

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Position, Parked]]:
        """A transaction that holds the source's position."""
        self._make_partitions(datetime.now(UTC).date())
        with self.connection.transaction():
            with self.connection.pipeline():
                held = self.connection.execute(_POSITION + " for update", [self.source])
                parked_keys = self.connection.execute(PARKED_KEYS_SQL, [self.source])
                stored = self._position(held.fetchone())
                parked = Parked(self.connection, self.source, self._epoch, parked_keys.fetchall())
            if stored is None:
                raise RuntimeError(f"source {self.source} has no epoch yet: begin_epoch comes before store")
            yield stored, parked

    def _make_partitions(self, today: date) -> None:
        """Once a day. Making one needs the change log for itself: whoever reads it for long is waited for another day,
        as long as there is a partition to write to."""
        if today == self._looked_on:
            return
        try:
            self._covered = ensure_partitions(self.connection, today)
        except psycopg.errors.LockNotAvailable:
            if today > self._covered:
                raise
        self._looked_on = today

    def _store(self, batch: Batch, careful: bool) -> Stored:
        reach("landing.before_position")
        traced = tracing.spans("landing", tracing.parents_of(batch.transactions), source=self.source)
        with traced as traces, self._transaction() as (stored, parked):
            observed = self._observe(batch, parked)
            if not batch.position.is_after(stored):
                return Stored(0, observed)
            fresh = [t for t in batch.transactions if t.end_lsn > stored.lsn]
            changes = _count(batch, fresh)
            lsns = (stored.lsn, batch.position.lsn)
            schema_changes = self._write(fresh, changes, lsns, parked, careful, traces)
            self.connection.execute(
                "update log.position set lsn = %s, committed_at = coalesce(%s, committed_at), updated_at = now()"
                " where source = %s",
                [
                    format_lsn(batch.position.lsn),
                    timestamp_text(fresh[-1].committed_at) if fresh else None,
                    self.source,
                ],
            )
            reach("landing.before_commit")
        reach("landing.after_commit")
        return Stored(changes, schema_changes + observed)

    def _observe(self, batch: Batch, parked: Parked) -> int:
        """Applies schema changes that were found outside the stream; how many."""
        for change in batch.observed:
            apply_schema_change(self.connection, self.mirrors, self._epoch, change, time.time_ns() // 1000)
        if batch.observed:
            parked.reload()
        return len(batch.observed)

    def _store_chunk(self, snapshot: Snapshot, chunk: SnapshotChunk, careful: bool) -> int:
        kind = "reread" if snapshot.is_reread else "snapshot"
        reach("snapshot.before_chunk")
        begun = {relid: list(names) for relid, names in snapshot.begun.items()}
        try:
            with self._transaction() as (stored, parked):
                if chunk.first and chunk.table.columns:
                    prepare_table(self.connection, self.mirrors, self._epoch, snapshot, chunk)
                    parked.reload()
                transaction = transaction_of(snapshot, chunk, self.mirrors)
                rows = len(transaction.items)
                self._write([transaction], rows, (stored.lsn, stored.lsn), parked, careful, read=True)
                mirror = None if snapshot.is_reread else self.mirrors.by_relid(chunk.table.relid)
                if mirror is not None and completes_table(chunk):
                    finish_table(self.connection, mirror, timestamp_text(transaction.committed_at))
                if snapshot.sweeps and chunk.progress.done:
                    sweep(self.connection, self.mirrors, snapshot, chunk, timestamp_text(transaction.committed_at))
                if completes_table(chunk):
                    settle_key(self.connection, self.mirrors, chunk.table.relid, snapshot.stamp_lsn)
                store_progress(self.connection, snapshot, chunk, rows)
                reach(f"{kind}.before_commit")
        except BaseException:
            snapshot.begun = begun
            raise
        reach(f"{kind}.after_commit")
        return rows

    def _write(
        self,
        fresh: list[Transaction],
        changes: int,
        lsns: tuple[int, int],
        parked: Parked,
        careful: bool,
        traces: Sequence[str] = (),
        *,
        read: bool = False,
    ) -> int:
        """Change log, audit, mirror and schema changes of these transactions; the number of schema changes.

        ``read``: they are rows read from their tables, not changes of the stream.
        """
        if not fresh:
            return 0
        connection = self.connection
        batch_id = parked.batch_id = self._add_batch(fresh, changes, lsns, traces) if changes else 0
        today = datetime.now(UTC).date()
        lines = ChangeLines(source=self.source, epoch=self._epoch, batch_id=batch_id, landed_on=today)
        writer = self._writer(parked, careful=careful, read=read)
        schema_changes = 0
        for segment, schema_change in segments(fresh):
            reach("landing.before_copy")
            if changes:
                with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                    for chunk in lines.of(segment):
                        copy.write(chunk)
            if messages := audit.rows(segment):
                parameters = audit.parameters(self.source, self._epoch, messages)
                psycopg.RawCursor(connection).execute(audit.INSERT, parameters, prepare=True)
            reach("landing.after_copy")
            writer.apply(segment)
            reach("landing.after_mirror")
            if schema_change is not None:
                transaction, change = schema_change
                apply_schema_change(connection, self.mirrors, self._epoch, change, transaction.committed_at)
                parked.reload()
                schema_changes += 1
        return schema_changes

    def _add_batch(self, fresh: list[Transaction], changes: int, lsns: tuple[int, int], traces: Sequence[str]) -> int:
        """The batch's row, its place in every consumer's queue, and the call that wakes waiting readers."""
        found = self.connection.execute(
            """
            with batch as (
              insert into log.batch
                (source, epoch, from_lsn, to_lsn, changes, first_committed_at, last_committed_at, traceparents)
              values (%s, %s, %s, %s, %s, %s, %s, %s::text[])
              returning batch_id
            ),
            queued as (
              insert into log.queue (consumer, batch_id)
              select consumer.name, batch.batch_id from log.consumer, batch
            )
            select batch_id, pg_notify('hw_landed', batch_id::text) from batch
            """,
            [
                self.source,
                self._epoch,
                format_lsn(lsns[0]),
                format_lsn(lsns[1]),
                changes,
                timestamp_text(fresh[0].committed_at),
                timestamp_text(fresh[-1].committed_at),
                list(traces) or None,
            ],
            prepare=True,
        ).fetchone()
        assert found is not None
        return int(found[0])

    def _position(self, row: tuple[Any, ...] | None) -> Position | None:
        if row is None:
            return None
        self._epoch = row[0]
        return Position(self.source, Epoch(row[1], row[2], row[3]), parse_lsn(row[4]))

    @contextmanager
    def _available(self) -> Iterator[None]:
        """Turns the warehouse's outages into SinkUnavailable; after any error the sink must be opened again."""
        try:
            yield
        except psycopg.Error as error:
            if is_refusal(error):
                raise
            self.close()
            raise SinkUnavailable(self.source, error) from error
        except SourceTaken:
            self.close()
            raise


def _count(batch: Batch, fresh: list[Transaction]) -> int:
    """Row changes of the transactions that are new; the batch's own figure where that is all of them."""
    if len(fresh) == len(batch.transactions):
        return batch.changes
    return sum(1 for transaction in fresh for item in transaction.items if type(item) is ChangeEvent)
