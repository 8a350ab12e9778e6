"""The warehouse as a sink: one batch is one transaction of mirror, change log, audit, queues and position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, Final

import psycopg

from cdc.errors import EpochMismatch
from cdc.events import Batch, ChangeEvent, Item, SchemaChange, Transaction
from cdc.failpoints import reach
from cdc.positions import Epoch, Position, format_lsn, parse_lsn
from pipelines.landing import audit
from pipelines.landing.change_lines import COPY, ChangeLines
from pipelines.landing.errors import SinkUnavailable, is_refusal
from pipelines.landing.lease import take_lease
from pipelines.landing.mirrors import Connection, Mirrors
from pipelines.landing.parking import PARKED_KEYS_SQL, Parked
from pipelines.landing.schema_changes import apply_schema_change
from pipelines.landing.text import timestamp_text
from pipelines.landing.writer import MirrorWriter, Segment
from warehouse.change_log import ensure_partitions

UNMIRRORED: Final = frozenset({"outbox"})
"""Tables, in any schema, whose changes go to the change log alone."""

SEGMENT_CHANGES: Final = 10_000
"""Items of a spooled transaction that are in memory at a time."""

_SESSION: Final = (
    "-c synchronous_commit=on -c timezone=UTC -c datestyle=ISO,MDY -c intervalstyle=postgres -c search_path=pg_catalog"
    # A reader that holds a mirror for long must not stop the stream for ever when its table changes: we try again.
    " -c lock_timeout=10s"
    # A landing process that hangs with an open transaction would keep the source from its successor.
    " -c idle_in_transaction_session_timeout=300s"
)
_POSITION: Final = "select epoch, system_id, timeline, slot, lsn::text from log.position where source = %s"


class WarehouseSink:
    """Lands ``source`` in the warehouse at ``dsn`` (role ``wh_owner``). Not for use by several threads at once."""

    def __init__(self, dsn: str, source: str, *, unmirrored: frozenset[str] = UNMIRRORED) -> None:
        self.source = source
        self._dsn = dsn
        self._unmirrored = unmirrored
        self._connection: Connection | None = None
        self._mirrors: Mirrors | None = None
        self._epoch = 0
        self._covered = date.min

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
            take_lease(self._connection, self.source)
            self._mirrors = Mirrors(self._connection, self.source, self._unmirrored)
            self._mirrors.load()
            return self._position(self._connection.execute(_POSITION, [self.source]).fetchone())

    def begin_epoch(self, position: Position, reason: str) -> None:
        with self._available(), self.connection.transaction():
            self.start_epoch(position, reason)

    def start_epoch(self, position: Position, reason: str) -> None:
        """``begin_epoch`` inside the caller's transaction."""
        execute = self.connection.execute
        execute("select 1 from log.position where source = %s for update", [self.source])
        (epoch,) = execute(
            "insert into log.epoch (source, epoch, system_id, timeline, slot, reason)"
            " select %s, coalesce(max(epoch), 0) + 1, %s, %s, %s, %s from log.epoch where source = %s returning epoch",
            [
                self.source,
                position.epoch.system_id,
                position.epoch.timeline,
                position.epoch.slot,
                reason,
                self.source,
            ],
        ).fetchone() or (0,)
        execute(
            "insert into log.position (source, epoch, system_id, timeline, slot, lsn) values (%s, %s, %s, %s, %s, %s)"
            " on conflict (source) do update set epoch = excluded.epoch, system_id = excluded.system_id,"
            " timeline = excluded.timeline, slot = excluded.slot, lsn = excluded.lsn, updated_at = now()",
            [
                self.source,
                epoch,
                position.epoch.system_id,
                position.epoch.timeline,
                position.epoch.slot,
                format_lsn(position.lsn),
            ],
        )
        self._epoch = epoch

    def store(self, batch: Batch) -> int:
        with self._available():
            try:
                return self._store(batch, careful=False)
            except psycopg.Error as error:
                if not is_refusal(error):
                    raise
            # Something in this batch is refused. Once more, around it.
            self.mirrors.load()
            return self._store(batch, careful=True)

    def set_state(self, state: str, error: str | None) -> None:
        """Says in ``log.source_state`` what landing does with the source; nothing if the warehouse is away."""
        if self._connection is None:
            return
        with self._available():
            self._connection.execute(
                "insert into log.source_state (source, state, error) values (%s, %s, %s)"
                " on conflict (source) do update set state = excluded.state, error = excluded.error,"
                " since = case when source_state.state = excluded.state then source_state.since else now() end,"
                " updated_at = now()",
                [self.source, state, error],
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _store(self, batch: Batch, *, careful: bool) -> int:
        connection = self.connection
        today = datetime.now(UTC).date()
        if today >= self._covered:
            self._covered = ensure_partitions(connection, today)
        reach("landing.before_position")
        with connection.transaction():
            with connection.pipeline():
                held = connection.execute(_POSITION + " for update", [self.source])
                parked_keys = connection.execute(PARKED_KEYS_SQL, [self.source])
                stored = self._position(held.fetchone())
                parked = Parked(connection, self.source, self._epoch, parked_keys.fetchall())
            if stored is None:
                raise RuntimeError(f"source {self.source} has no epoch yet: begin_epoch comes before store")
            if not batch.position.is_after(stored):
                return 0
            fresh = [t for t in batch.transactions if t.end_lsn > stored.lsn]
            changes = _count(batch, fresh)
            if fresh:
                self._store_transactions(batch, fresh, changes, stored, today, parked, careful)
            committed_at = timestamp_text(fresh[-1].committed_at) if fresh else None
            connection.execute(
                "update log.position set lsn = %s, committed_at = coalesce(%s, committed_at), updated_at = now()"
                " where source = %s",
                [format_lsn(batch.position.lsn), committed_at, self.source],
            )
            reach("landing.before_commit")
        reach("landing.after_commit")
        return changes

    def _store_transactions(
        self,
        batch: Batch,
        fresh: list[Transaction],
        changes: int,
        stored: Position,
        today: date,
        parked: Parked,
        careful: bool,
    ) -> None:
        connection = self.connection
        batch_id = self._add_batch(batch, fresh, changes, stored) if changes else 0
        lines = ChangeLines(source=self.source, epoch=self._epoch, batch_id=batch_id, landed_on=today)
        writer = MirrorWriter(connection, self.mirrors, parked, careful=careful)
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

    def _add_batch(self, batch: Batch, fresh: list[Transaction], changes: int, stored: Position) -> int:
        """The batch's row, its place in every consumer's queue, and the call that wakes waiting readers."""
        found = self.connection.execute(
            """
            with batch as (
              insert into log.batch (source, epoch, from_lsn, to_lsn, changes, first_committed_at, last_committed_at)
              values (%s, %s, %s, %s, %s, %s, %s)
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
                format_lsn(stored.lsn),
                format_lsn(batch.position.lsn),
                changes,
                timestamp_text(fresh[0].committed_at),
                timestamp_text(fresh[-1].committed_at),
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
            self.close()
            if is_refusal(error):
                raise
            raise SinkUnavailable(self.source, error) from error
        except EpochMismatch:
            self.close()
            raise


def segments(transactions: list[Transaction]) -> Iterator[tuple[Segment, tuple[Transaction, SchemaChange] | None]]:
    """Cuts transactions where a schema change stands (it is given beside the items before it), and long ones by length.

    Transactions without schema changes come together, whatever their number; only one that is read from disk is cut
    by length, as it does not fit memory.
    """
    together: list[tuple[Transaction, list[Item]]] = []
    for transaction in transactions:
        items = iter(transaction.items)
        while part := list(islice(items, SEGMENT_CHANGES)):
            start = 0
            for place, item in enumerate(part):
                if type(item) is SchemaChange:
                    together.append((transaction, part[start:place]))
                    yield together, (transaction, item)
                    together = []
                    start = place + 1
            together.append((transaction, part[start:] if start else part))
            if len(part) == SEGMENT_CHANGES:
                yield together, None
                together = []
    if together:
        yield together, None


def _count(batch: Batch, fresh: list[Transaction]) -> int:
    """Row changes of the transactions that are new; the batch's own figure where that is all of them."""
    if len(fresh) == len(batch.transactions):
        return batch.changes
    return sum(1 for transaction in fresh for item in transaction.items if type(item) is ChangeEvent)
