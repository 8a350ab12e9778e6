"""Lands one source over Kafka beside others who do: reads its partitions, stores, and outlives every outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Final

import psycopg

from cdc.connectors import changes_topic, messages_topic
from cdc.debezium.envelope import EnvelopeDecoder
from cdc.errors import SourceUnavailable
from cdc.failpoints import reach
from cdc.positions import Position
from cdc.sources.kafka import KafkaBatch, KafkaSource
from cdc.sources.kafka_member import Group, KafkaEpoch, KafkaStream, Partition
from pipelines.landing import worker
from pipelines.landing.errors import ResidentOnly, TablesChanged
from pipelines.landing.kafka.sink import KafkaSink
from pipelines.landing.kafka.watermark import Watermark
from pipelines.landing.rereads import Rereads
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.worker import LOOK_FOR_REREADS, MAX_CHANGES, Landing, SourceDatabase
from pipelines.runtime import Heartbeat

FAILPOINTS: Final = ("group.after_release",)

WAITING_TIMEOUT: Final = 0.02
"""Seconds to wait for the stream while a mark is on its way."""


class KafkaLanding(Landing):
    """Lands ``database`` from ``stream`` into the warehouse at ``warehouse_dsn`` (role ``wh_owner``).

    The database itself is asked for its first snapshot, for tables to be read again, and to write marks.
    """

    def __init__(self, database: SourceDatabase, stream: KafkaStream, warehouse_dsn: str, heartbeat: Heartbeat) -> None:
        super().__init__(database, warehouse_dsn, heartbeat)
        self._warehouse_dsn = warehouse_dsn
        self._stream_at = stream
        self._kafka_sink = KafkaSink(warehouse_dsn, database.name)
        self._kafka_source: KafkaSource | None = None
        self._messages = Partition(messages_topic(database.name), 0)

    def drain(self, stop: threading.Event) -> Position:
        """Refused: a worker that came for a moment would take partitions from those that stay."""
        raise ResidentOnly(self._database.name)

    def _close(self) -> None:
        if self._kafka_source is not None:
            self._kafka_source.close()
            self._kafka_source = None
        self._kafka_sink.close()
        super()._close()

    def _land(self, stop: threading.Event, until: int | None = None) -> None:
        if not self._is_loaded() and not self._load_alone(stop):
            return
        sink = self._sink = self._kafka_sink
        sink.open()
        epoch, source = self._join(sink)
        sink.enter(epoch)
        self._state("streaming", schema_changes="trigger")
        self._is_well()
        with closing(Rereads(self._database.name, self._database.dsn, sink.rereads())) as rereads:
            self._run(source, sink, rereads, stop)

    def _is_loaded(self) -> bool:
        if self._kafka_sink.open() is None:
            return False
        return all(s.finished for s in self._kafka_sink.snapshots() if not s.is_reread)

    def _load_alone(self, stop: threading.Event) -> bool:
        """The slot and the first snapshot are one process's work, which nobody shares. Raises SourceTaken."""
        self._kafka_sink.close()
        alone = self._sink = WarehouseSink(self._warehouse_dsn, self._database.name)
        try:
            if alone.open() is None:
                self._begin()
            whole = next((s for s in alone.snapshots() if not s.is_reread), None)
            self._state("snapshot")
            return whole is None or whole.finished or self._load(whole, stop)
        finally:
            alone.close()

    def _join(self, sink: KafkaSink) -> tuple[KafkaEpoch, KafkaSource]:
        name, stream = self._database.name, self._stream_at
        decoder = EnvelopeDecoder(
            name, sink.tables(), xid_reference=self._next_xid(), publications=frozenset(self._database.publications)
        )
        epochs: list[KafkaEpoch] = []
        source = self._kafka_source = KafkaSource(
            name,
            stream.bootstrap,
            [changes_topic(name), messages_topic(name)],
            decoder,
            Group(f"hw.landing.{name}", stream.member, stream.session_timeout),
            claim=lambda partitions: sink.claim(partitions, epochs[0]),
            release=partial(_release, sink),
            settings=stream.settings,
        )
        epochs.append(source.start())
        return epochs[0], source

    def _next_xid(self) -> int:
        try:
            with psycopg.connect(self._database.dsn, autocommit=True) as connection:
                row = connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
        except psycopg.OperationalError as error:
            raise SourceUnavailable(self._database.name, error) from error
        assert row is not None
        return int(row[0])

    def _run(self, source: KafkaSource, sink: KafkaSink, rereads: Rereads, stop: threading.Event) -> None:
        barrier = Barrier(self._database, source, sink)
        watermark = Watermark(self._database, source, sink)
        looked = time.monotonic()
        while not stop.is_set():
            leads = self._messages in source.partitions
            reading = leads and rereads.ready
            timeout = WAITING_TIMEOUT if barrier.up or watermark.due else worker.READ_TIMEOUT
            batch = source.read(MAX_CHANGES, 0.0 if reading else timeout)
            self._heartbeat.beat()
            if batch is not None:
                self._store(batch, source, sink, barrier)
            barrier.look()
            if leads:
                watermark.look()
            if not rereads.pending and time.monotonic() > looked + LOOK_FOR_REREADS:
                looked = time.monotonic()
                rereads.replace(sink.rereads())
            if reading and rereads.ready:
                snapshot, chunk = rereads.next()
                self._heartbeat.progress(snapshot_rows=sink.store_chunk(snapshot, chunk))

    def _store(self, batch: KafkaBatch, source: KafkaSource, sink: KafkaSink, barrier: Barrier) -> None:
        barrier.add(batch)
        if not batch.offsets:
            return
        try:
            stored = sink.store_kafka(batch)
        except TablesChanged:
            source.know(sink.tables())
            source.rewind(sink.stored())
            barrier.clear()
            return
        reach("landing.after_acknowledge")
        self._back_off.reset()
        self._is_well()
        if batch.transactions:
            self._heartbeat.progress(batches=1, changes=stored.changes)


def _release(sink: KafkaSink, partitions: Sequence[Partition], _lost: bool) -> None:
    sink.partitions.release(partitions)
    reach("group.after_release")


class Barrier:
    """Holds rows back whose shape is new, until every schema change that was committed before them is landed.

    A mark is written to the source, where it follows all of those; once it has come with the messages, so have they.
    """

    def __init__(self, database: SourceDatabase, source: KafkaSource, sink: KafkaSink) -> None:
        self._database = database
        self._source = source
        self._sink = sink
        self._shapes: set[bytes] = set()
        self._marked: tuple[int, set[bytes]] | None = None

    @property
    def up(self) -> bool:
        return bool(self._shapes) or self._marked is not None

    def add(self, batch: KafkaBatch) -> None:
        self._shapes.update(new.shape for new in batch.waiting)

    def clear(self) -> None:
        self._shapes.clear()
        self._marked = None

    def look(self) -> None:
        """Writes a mark if there is something to wait for, or lets pass what has waited long enough."""
        if self._marked is None:
            if self._shapes:
                self._marked = (self._database.mark(), self._shapes)
                self._shapes = set()
            return
        mark, shapes = self._marked
        if self._sink.mark().lsn < mark:
            return
        if (tables := self._sink.changed_tables()) is not None:
            self._source.know(tables)
        self._source.accept(shapes)
        self._marked = None
