"""The warehouse as a sink of several processes that share a source: each stores its own batches, exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cdc.connectors import MARK, changes_topic
from cdc.debezium.tables import FormerColumns, Tables
from cdc.events import ChangeEvent, Message, SchemaChange, Transaction
from cdc.failpoints import reach
from cdc.positions import Position, format_lsn, parse_lsn
from cdc.snapshot_filter import SnapshotFilter
from cdc.sources.kafka import KafkaBatch, Poison
from cdc.sources.kafka_member import KafkaEpoch, Partition, Start
from pipelines import tracing
from pipelines.landing.errors import TablesChanged
from pipelines.landing.kafka.duplicates import number_apart, without_duplicates
from pipelines.landing.kafka.guards import GuardedWriter, Guards
from pipelines.landing.kafka.leaving import leave_out
from pipelines.landing.kafka.partitions import Partitions
from pipelines.landing.lease import take_lease
from pipelines.landing.mirrors import Connection
from pipelines.landing.parking import PARKED_KEYS_SQL, Parked
from pipelines.landing.sinks.port import Stored
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.text import timestamp_text
from pipelines.landing.writer import MirrorWriter

_SNAPSHOT: Final = re.compile(rb"[0-9]+:[0-9]+:([0-9]+(,[0-9]+)*)?")


class Mark(NamedTuple):
    """A message that landing wrote to the source, when it was committed there (None: none has come yet), and which
    transactions were before it, as PostgreSQL writes a snapshot (None: it does not say)."""

    lsn: int
    committed_at: datetime | None
    snapshot: str | None


def span(transactions: Sequence[Transaction]) -> tuple[int, int]:
    """The LSNs after which a batch begins and at which it ends. They differ, which they do not in a piece of a read."""
    lsns = [item.lsn for transaction in transactions for item in transaction.items]
    return (min(lsns) - 1, max(lsns)) if lsns else (0, 0)


class KafkaSink(WarehouseSink):
    """As WarehouseSink, shared with others who land the same source over Kafka; with none who reads its slot."""

    def __init__(self, dsn: str, source: str) -> None:
        super().__init__(dsn, source)
        self._partitions: Partitions | None = None
        self._guards: Guards | None = None
        self._overlap: SnapshotFilter | None = None
        self._version = 0

    @property
    def partitions(self) -> Partitions:
        if self._partitions is None:
            raise RuntimeError(f"the sink of source {self.source} is not open")
        return self._partitions

    def open(self) -> Position | None:
        position = super().open()
        with self._available():
            self._partitions = Partitions(self.connection, self.source)
            whole = next((s for s in self.snapshots() if not s.is_reread), None)
            progress = whole.progress if whole is not None else None
            self._overlap = SnapshotFilter(progress) if progress is not None and progress.done else None
        return position

    def enter(self, epoch: KafkaEpoch) -> None:
        """Raises KafkaEpochMismatch if the stored offsets mean nothing there."""
        with self._available():
            self.partitions.enter(epoch)

    def claim(self, partitions: Sequence[Partition], epoch: KafkaEpoch) -> Mapping[Partition, Start]:
        with self._available():
            return self.partitions.claim(partitions, epoch)

    def stored(self) -> Mapping[Partition, Start]:
        """Where each partition of this process is to be read from."""
        with self._available():
            return self.partitions.stored()

    def changed_tables(self) -> Tables | None:
        """As ``tables``, if another process has landed a schema change since they were asked for."""
        with self._available():
            return None if self._stored_version() == self._version else self.tables()

    def tables(self) -> Tables:
        """What is known of the source's tables; batches that are stored from now on must be read by it."""
        with self._available(), self.connection.transaction():
            self._version = self._stored_version()
            self.mirrors.load()
            former = self.connection.execute(
                "select relid, lsn::text, before from log.schema_change where source = %s and epoch = %s"
                " and before is not null order by lsn, seq",
                [self.source, self.epoch],
            )
            changes = [
                FormerColumns(relid, parse_lsn(lsn), {column["name"]: column["attnum"] for column in before})
                for relid, lsn, before in former
            ]
            return Tables(self.known_tables(), changes)

    def _stored_version(self) -> int:
        row = self.connection.execute(
            "select schema_version from log.kafka_source where source = %s", [self.source]
        ).fetchone()
        return int(row[0]) if row else 0

    def mark(self) -> Mark:
        """The latest mark that has come: every schema change that was committed before it is landed."""
        with self._available():
            row = self.connection.execute(
                "select mark::text, mark_committed_at, mark_snapshot::text from log.kafka_source where source = %s",
                [self.source],
            ).fetchone()
        return Mark(parse_lsn(row[0]), row[1], row[2]) if row else Mark(0, None, None)

    def changes_landed(self) -> int:
        """A number that grows with every change that anybody lands."""
        with self._available():
            row = self.connection.execute(
                "select coalesce(sum(next_offset), 0) from log.kafka_partition where source = %s and topic = %s",
                [self.source, changes_topic(self.source)],
            ).fetchone()
        return int(row[0]) if row else 0

    def has_reached(self, offsets: Mapping[Partition, int]) -> bool:
        """Whether every partition, whoever lands it, is to be read from there or further on."""
        with self._available():
            rows = self.connection.execute(
                "select topic, partition, coalesce(next_offset, 0) from log.kafka_partition where source = %s",
                [self.source],
            ).fetchall()
        stored = {Partition(topic, number): offset for topic, number, offset in rows}
        return all(stored.get(partition, 0) >= offset for partition, offset in offsets.items())

    def show(self, mark: Mark) -> None:
        """Everything that was committed before ``mark`` is landed: readers may rely on it."""
        with self._available():
            self.connection.execute(
                """
                with cut as (
                  update log.kafka_source set cut = coalesce(%(snapshot)s::pg_snapshot, cut)
                  where source = %(source)s and until is null
                )
                update log.position
                set lsn = greatest(lsn, %(lsn)s), committed_at = greatest(committed_at, %(at)s),
                  -- What was committed since the mark may not have landed, whenever this is written.
                  updated_at = least(now(), %(at)s)
                where source = %(source)s
                  -- Beyond it not everything is landed over Kafka.
                  and not exists (select from log.kafka_source where source = %(source)s and until is not null)
                """,
                {
                    "lsn": format_lsn(mark.lsn),
                    "at": mark.committed_at,
                    "snapshot": mark.snapshot,
                    "source": self.source,
                },
            )

    def store_kafka(self, batch: KafkaBatch) -> Stored:
        """Stores all of ``batch`` and its offsets, or nothing.

        Raises PartitionLost if a partition went to another process, and TablesChanged if a schema change came between.
        """
        with self._available():
            return self._around_refused(lambda careful: self._store_batch(batch, careful))

    def _take_source(self, connection: Connection) -> None:
        take_lease(connection, self.source, patience=self._patience, shared=True)

    def _writer(self, parked: Parked, *, careful: bool, read: bool) -> MirrorWriter:
        if read:
            return super()._writer(parked, careful=careful, read=read)
        assert self._guards is not None
        return GuardedWriter(self.connection, self.mirrors, parked, self._guards, careful=careful)

    def _store_batch(self, batch: KafkaBatch, careful: bool) -> Stored:
        reach("landing.before_position")
        traced = tracing.spans("landing", tracing.parents_of(batch.transactions), source=self.source)
        with traced as traces, self._batch_transaction(batch) as parked:
            fresh = self._fresh(batch)
            if careful:
                # The first attempt may have met a change with the same number.
                number_apart(self.connection, self.source, self.epoch, fresh)
            changes = sum(1 for t in fresh for item in t.items if type(item) is ChangeEvent)
            schema_changes = self._write(fresh, changes, span(fresh), parked, careful, traces)
            self._note(fresh)
            for poison in batch.poison:
                self._park(poison)
            self.partitions.advance(batch)
            reach("landing.before_commit")
        reach("landing.after_commit")
        return Stored(changes, schema_changes)

    @contextmanager
    def _batch_transaction(self, batch: KafkaBatch) -> Iterator[Parked]:
        """A transaction that holds the batch's partitions, and the tables as they were when it was read."""
        self._make_partitions(datetime.now(UTC).date())
        items = [item for transaction in batch.transactions for item in transaction.items]
        alters = any(type(item) is SchemaChange for item in items)
        truncates = any(type(item) is ChangeEvent and item.op == "t" for item in items)
        # Whoever alters or empties mirrors waits for those who write to them, and they for it: a truncation does not
        # see the rows that another worker is storing, and that worker does not see its guard.
        lock = "update" if alters or truncates else "share"
        with self.connection.transaction():
            # Who holds this row alone has all landing of the source wait (pipelines.lake.rebuilding).
            self.connection.execute("select from log.position where source = %s for share", [self.source])
            self.partitions.hold(batch.offsets)
            row = self.connection.execute(
                f"select schema_version, until::text from log.kafka_source where source = %s for {lock}".encode(),
                [self.source],
            ).fetchone()
            assert row is not None
            if row[0] != self._version:
                raise TablesChanged(self.source)
            if row[1] is not None:
                leave_out(batch, parse_lsn(row[1]))
            parked_keys = self.connection.execute(PARKED_KEYS_SQL, [self.source]).fetchall()
            self._guards = Guards(self.connection, self.source)
            yield Parked(self.connection, self.source, self.epoch, parked_keys)
            if alters:
                self.connection.execute(
                    "update log.kafka_source set schema_version = schema_version + 1 where source = %s", [self.source]
                )
        if alters:
            self._version += 1

    def _fresh(self, batch: KafkaBatch) -> list[Transaction]:
        """What of the batch neither the snapshot has read nor an earlier batch has landed."""
        fresh = without_duplicates(self.connection, batch, self.epoch)
        overlap = self._overlap
        for transaction in fresh:
            if overlap is not None and transaction.xid < overlap.xmax:
                transaction.items = [left for item in transaction.items for left in overlap.apply(item)]
            for item in transaction.items:
                if type(item) is SchemaChange and self._takes_a_name(item):
                    item.rewrites = True
        return [transaction for transaction in fresh if transaction.items]

    def _takes_a_name(self, change: SchemaChange) -> bool:
        """Whether a column gets the name that another had: rows of both may come in any order, so the table is read."""
        mirror = self.mirrors.by_relid(change.relid)
        if mirror is None:
            return False
        standing = ((mirror.columns.get(column.name), column.attnum) for column in change.after or ())
        return any(found is not None and found.attnum not in (None, attnum) for found, attnum in standing)

    def _note(self, fresh: list[Transaction]) -> None:
        """What later batches must know: rewritten tables, and marks that have come."""
        assert self._guards is not None
        mark, committed_at, snapshot = 0, 0, b""
        for transaction in fresh:
            for item in transaction.items:
                if type(item) is SchemaChange and item.rewrites and self.mirrors.by_relid(item.relid) is not None:
                    self._guards.add(item.relid, "reread", item.lsn, item.seq, transaction.committed_at)
                elif type(item) is Message and item.prefix == MARK:
                    come = (item.lsn, transaction.committed_at, item.content)
                    mark, committed_at, snapshot = max((mark, committed_at, snapshot), come)
        if mark:
            self.connection.execute(
                "update log.kafka_source set mark = %(lsn)s, mark_committed_at = %(at)s,"
                " mark_snapshot = %(snapshot)s::pg_snapshot"
                " where source = %(source)s and mark < %(lsn)s::pg_lsn",
                {
                    "lsn": format_lsn(mark),
                    "at": timestamp_text(committed_at),
                    "snapshot": snapshot.decode() if _SNAPSHOT.fullmatch(snapshot) else None,
                    "source": self.source,
                },
            )

    def _park(self, poison: Poison) -> None:
        self.connection.execute(
            """
            insert into log.kafka_parked (source, topic, partition, topic_id, record_offset, key, value, error)
            select source, topic, partition, topic_id, %s, %s, %s, %s
            from log.kafka_partition
            where source = %s and topic = %s and partition = %s
            on conflict do nothing
            """,
            [poison.offset, poison.key, poison.value, poison.error, self.source, *poison.partition],
        )
