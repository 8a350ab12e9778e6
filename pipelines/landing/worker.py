"""The landing worker: a thread for each source database that reads, stores, acknowledges, and outlives every outage."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from cdc.catalogue import SESSION_OPTIONS, read_catalogue
from cdc.errors import SourceUnavailable, StreamError
from cdc.failpoints import reach
from cdc.positions import Epoch, Position
from cdc.slots import create_slot
from cdc.snapshot import begin_snapshot, read_chunks
from cdc.snapshot_filter import SnapshotFilter
from cdc.snapshot_progress import SnapshotProgress
from cdc.sources.replication import ReplicationConnection
from cdc.sources.slot import SlotSource
from pipelines.landing.errors import LandingError, is_outage
from pipelines.landing.overlap import without_overlap
from pipelines.landing.rereads import Rereads
from pipelines.landing.sinks.port import State
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.snapshots import Snapshot
from pipelines.runtime import BackOff, Heartbeat

MAX_CHANGES: Final = 10_000
"""Row changes a batch, about: whatever arrived while the last batch was stored, up to this."""

READ_TIMEOUT: Final = 0.5
"""Seconds to wait for the stream before looking whether to stop."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceDatabase:
    """One database to land. ``dsn`` logs in with REPLICATION and SELECT on the published tables (``hw_replication``).

    Slot names are unique in a cluster: two source databases of one cluster need two. Large transactions are spooled
    to ``spool_dir``.
    """

    name: str
    dsn: str
    spool_dir: Path
    slot: str = "hw_landing"
    publications: tuple[str, ...] = ("hw_landing",)

    def slot_position(self) -> Position:
        """Where the slot delivers from; makes the slot if there is none. Raises SlotBlocked, SourceUnavailable."""
        try:
            lsn = create_slot(self.dsn, self.slot)
            connection = ReplicationConnection(self.dsn)
            try:
                system = connection.identify()
            finally:
                connection.close()
        except psycopg.OperationalError as error:
            raise SourceUnavailable(self.name, error) from error
        return Position(self.name, Epoch(system.system_id, system.timeline, self.slot), lsn)

    def snapshot(self) -> SnapshotProgress:
        """A snapshot of every published table, not begun."""
        with psycopg.connect(self.dsn, autocommit=True, options=SESSION_OPTIONS) as connection:
            tables = read_catalogue(connection)
        published = [t.qualified_name for t in tables if not set(self.publications).isdisjoint(t.publications)]
        return begin_snapshot(self.name, self.dsn, published)

    def source(self) -> SlotSource:
        return SlotSource(self.name, self.dsn, slot=self.slot, publications=self.publications, spool_dir=self.spool_dir)


class Landing:
    """Lands one source into the warehouse at ``warehouse_dsn`` (role ``wh_owner``)."""

    def __init__(self, database: SourceDatabase, warehouse_dsn: str, heartbeat: Heartbeat) -> None:
        self._database = database
        self._source = database.source()
        self._sink = WarehouseSink(warehouse_dsn, database.name)
        self._heartbeat = heartbeat
        self._back_off = BackOff()

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``. Outages are waited for; a gap stops this source, visibly, until it was repaired."""
        while not stop.is_set():
            failure: Exception | None = None
            try:
                self._land(stop)
            except (StreamError, LandingError, psycopg.Error) as error:
                failure = error
                self._failed(error)
            finally:
                self._source.close()
                self._sink.close()
            if failure is not None:
                # Only now, with the source given up, so that a repair can have it meanwhile.
                self._back_off.wait(stop)

    def _land(self, stop: threading.Event) -> None:
        position = self._sink.open() or self._begin()
        snapshots = self._sink.snapshots()
        whole = next((s for s in snapshots if not s.is_reread), None)
        if whole is not None and not whole.finished:
            self._state("snapshot")
            if not self._load(whole, stop):
                return
        overlap = None
        if whole is not None and whole.progress is not None and position.lsn < whole.progress.finished_lsn:
            overlap = SnapshotFilter(whole.progress)
        self._source.start(position)
        self._state("streaming")
        self._is_well()
        rereads = Rereads(self._database.name, self._database.dsn, [s for s in snapshots if s.is_reread])
        self._stream(overlap, rereads, stop)

    def _begin(self) -> Position:
        """The first start: a slot, the epoch that begins with it, and the snapshot that comes before its stream."""
        position = self._database.slot_position()
        self._sink.begin_epoch(position, "initial", self._database.snapshot())
        return position

    def _load(self, whole: Snapshot, stop: threading.Event) -> bool:
        """Reads the tables as they stand, from where the last attempt ended; False if told to stop on the way."""
        assert whole.progress is not None
        for chunk in read_chunks(self._database.dsn, whole.progress):
            rows = self._sink.store_chunk(whole, chunk)
            self._back_off.reset()
            self._is_well()
            self._heartbeat.progress(snapshot_rows=rows)
            if stop.is_set():
                return whole.finished
        return True

    def _stream(self, overlap: SnapshotFilter | None, rereads: Rereads, stop: threading.Event) -> None:
        while not stop.is_set():
            # A table to read again is read between batches, a piece at a time, so that the stream goes on.
            batch = self._source.read(MAX_CHANGES, 0.0 if rereads.pending else READ_TIMEOUT)
            self._heartbeat.beat()
            if batch is not None:
                if overlap is not None:
                    batch, overlap = without_overlap(batch, overlap)
                stored = self._sink.store(batch)
                self._source.acknowledge(batch.position)
                reach("landing.after_acknowledge")
                self._back_off.reset()
                if batch.transactions:
                    self._heartbeat.progress(batches=1, changes=stored.changes)
                if stored.schema_changes:
                    rereads.replace([s for s in self._sink.snapshots() if s.is_reread])
            if rereads.pending:
                snapshot, chunk = rereads.next()
                self._heartbeat.progress(snapshot_rows=self._sink.store_chunk(snapshot, chunk))

    def _state(self, state: State, error: str | None = None) -> None:
        self._heartbeat.detail(self._database.name, state)
        self._sink.set_state(state, error)

    def _is_well(self) -> None:
        if self._heartbeat.error(None, self._database.name):
            log.info("landing of %s goes on", self._database.name)

    def _failed(self, error: Exception) -> None:
        """Names the error where people look; in the warehouse too, if it answers and this process has the source."""
        state: State = "waiting" if is_outage(error) else "stopped"
        words = str(error).strip()
        if self._heartbeat.error(words, self._database.name):
            log.error("landing of %s is %s: %s", self._database.name, state, words)
        try:
            self._state(state, words)
        except LandingError:
            log.warning("the warehouse was not told that landing of %s is %s", self._database.name, state)


def run(databases: Sequence[SourceDatabase], warehouse_dsn: str, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Lands every source, each in a thread of its own, until ``stop``.

    An error that is nobody's outage ends all of them and is raised here, so that the process ends and is restarted.
    """
    failures: list[BaseException] = []

    def guarded(database: SourceDatabase) -> None:
        try:
            Landing(database, warehouse_dsn, heartbeat).run(stop)
        except BaseException as failure:
            failures.append(failure)
            stop.set()

    threads = [threading.Thread(target=guarded, args=[d], name=f"landing-{d.name}") for d in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
