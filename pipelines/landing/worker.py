"""The landing worker: a thread for each source database that reads, stores, acknowledges, and outlives every outage."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg

from cdc.catalogue import SESSION_OPTIONS, read_catalogue
from cdc.ddl import is_installed
from cdc.errors import SourceUnavailable, StreamError
from cdc.failpoints import reach
from cdc.polling import look
from cdc.positions import Epoch, Position
from cdc.slots import create_slot
from cdc.snapshot import begin_snapshot, read_chunks
from cdc.snapshot_filter import SnapshotFilter
from cdc.snapshot_progress import SnapshotProgress
from cdc.sources.polled import PolledSource
from cdc.sources.port import Source
from cdc.sources.replication import ReplicationConnection
from cdc.sources.slot import SlotSource
from pipelines.landing.errors import LandingError, is_outage
from pipelines.landing.lease import PATIENCE
from pipelines.landing.overlap import without_overlap
from pipelines.landing.read_ahead import read_ahead
from pipelines.landing.rereads import Rereads
from pipelines.landing.sinks.port import Mode, State
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.snapshots import Snapshot
from pipelines.runtime import BackOff, Heartbeat, collect_rarely, run_each

MAX_CHANGES: Final = 10_000
"""Row changes a batch, about: whatever arrived while the last batch was stored, up to this."""

READ_TIMEOUT: Final = 0.5
"""Seconds to wait for the stream before looking whether to stop."""

LOOK_FOR_REREADS: Final = 2.0
"""Seconds between looks for tables that somebody asked to have read again (``pipelines.landing.resnapshot``)."""

LOOK_FOR_TRIGGER: Final = 30.0
"""Seconds between looks whether the source's event trigger was installed, or taken away."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceDatabase:
    """One database to land. ``dsn`` logs in with REPLICATION and SELECT on the published tables (``hw_replication``).

    Slot names are unique in a cluster: two source databases of one cluster need two. Large transactions are spooled
    to ``spool_dir``. ``polling``: schema changes are found in the catalogue even if the event trigger is there.
    """

    name: str
    dsn: str
    spool_dir: Path
    slot: str = "hw_landing"
    publications: tuple[str, ...] = ("hw_landing",)
    polling: bool = False

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

    def mark(self) -> int:
        """An LSN after all that is committed now, which the stream is sure to reach: a message stands there.

        It says which transactions that is: those that a snapshot sees (``ops.at_cut``).
        """
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(
                "select pg_logical_emit_message(true, 'headwater.mark', pg_current_snapshot()::text) - '0/0'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def mode(self) -> Mode:
        """How schema changes are to be found: by polling where the event trigger is not there, or was not wanted."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return "trigger" if is_installed(connection) and not self.polling else "polling"

    def tables(self) -> Mapping[int, Mapping[str, Any]]:
        """The published tables as the catalogue describes them now."""
        with psycopg.connect(self.dsn, autocommit=True, options=SESSION_OPTIONS) as connection:
            return look(connection, self.publications).tables

    def slot_source(self, known_keys: Mapping[int, tuple[str, ...]] | None = None) -> SlotSource:
        """The reader of the slot; ``known_keys`` for one whose schema changes are polled."""
        return SlotSource(
            self.name,
            self.dsn,
            slot=self.slot,
            publications=self.publications,
            spool_dir=self.spool_dir,
            known_keys=known_keys,
        )

    def source(self, mode: Mode, known: Callable[[], Mapping[int, Mapping[str, Any]]]) -> Source:
        """The stream; ``known`` gives what is stored of its tables."""
        if mode == "trigger":
            return self.slot_source()
        return PolledSource(self.dsn, self.publications, self.slot_source, known)


class Landing:
    """Lands one source into the warehouse at ``warehouse_dsn`` (role ``wh_owner``)."""

    def __init__(
        self, database: SourceDatabase, warehouse_dsn: str, heartbeat: Heartbeat, *, patience: float = PATIENCE
    ) -> None:
        self._database = database
        self._source: Source | None = None
        self._mode: Mode = "trigger"
        self._sink = WarehouseSink(warehouse_dsn, database.name, patience=patience)
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
                self._close()
            if failure is not None:
                # Only now, with the source given up, so that a repair can have it meanwhile.
                self._back_off.wait(stop)

    def drain(self, stop: threading.Event) -> Position:
        """Lands all that the source has committed by now, and what was asked to be read again; returns its position.

        Raises what the resident worker would wait for: SourceTaken while that one works, an outage, a gap.
        """
        try:
            until = self._database.mark()
            self._land(stop, until)
            position = self._sink.position()
            assert position is not None
            return position
        finally:
            self._close()

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
        self._sink.close()

    def _land(self, stop: threading.Event, until: int | None = None) -> None:
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
        self._mode = self._database.mode()
        self._source = self._database.source(self._mode, self._sink.known_tables)
        self._source.start(position)
        if self._source.epoch != position.epoch:
            self._sink.follow(self._source.epoch.timeline)
        self._state("streaming", schema_changes=self._mode)
        self._is_well()
        rereads = Rereads(self._database.name, self._database.dsn, [s for s in snapshots if s.is_reread])
        with closing(rereads):
            self._stream(self._source, overlap, rereads, stop, until)

    def _begin(self) -> Position:
        """The first start: a slot, the epoch that begins with it, and the snapshot that comes before its stream."""
        position = self._database.slot_position()
        self._sink.begin_epoch(position, "initial", self._database.snapshot())
        self._sink.remember(self._database.tables())
        return position

    def _load(self, whole: Snapshot, stop: threading.Event) -> bool:
        """Reads the tables as they stand, from where the last attempt ended; False if told to stop on the way."""
        assert whole.progress is not None
        # The source is read for the next chunk while the warehouse stores this one: 5 % less time.
        with closing(read_ahead(read_chunks(self._database.dsn, whole.progress))) as chunks:
            for chunk in chunks:
                rows = self._sink.store_chunk(whole, chunk)
                self._back_off.reset()
                self._is_well()
                self._heartbeat.progress(snapshot_rows=rows)
                if stop.is_set():
                    return whole.finished
        return True

    def _stream(
        self,
        source: Source,
        overlap: SnapshotFilter | None,
        rereads: Rereads,
        stop: threading.Event,
        until: int | None = None,
    ) -> None:
        """Until ``stop``, or until everything before the LSN ``until`` is stored and no table is to be read again; or
        until schema changes are to be found in the other mode."""
        landed, looked = 0, time.monotonic()
        asked = looked
        while not stop.is_set() and (until is None or landed < until or rereads.pending):
            # A table to read again is read between batches, a piece at a time, so that the stream goes on.
            reading = rereads.ready
            batch = source.read(MAX_CHANGES, 0.0 if reading else READ_TIMEOUT)
            self._heartbeat.beat()
            if batch is not None:
                if overlap is not None:
                    batch, overlap = without_overlap(batch, overlap)
                stored = self._sink.store(batch)
                source.acknowledge(batch.position)
                reach("landing.after_acknowledge")
                landed = batch.position.lsn
                self._back_off.reset()
                if batch.transactions:
                    self._heartbeat.progress(batches=1, changes=stored.changes)
                if stored.schema_changes:
                    rereads.replace([s for s in self._sink.snapshots() if s.is_reread])
            if not rereads.pending and time.monotonic() > looked + LOOK_FOR_REREADS:
                looked = time.monotonic()
                rereads.replace(self._sink.rereads())
            if until is None and time.monotonic() > asked + LOOK_FOR_TRIGGER:
                asked = time.monotonic()
                if self._database.mode() != self._mode:
                    return
            if rereads.ready:
                snapshot, chunk = rereads.next()
                self._heartbeat.progress(snapshot_rows=self._sink.store_chunk(snapshot, chunk))

    def _state(self, state: State, error: str | None = None, schema_changes: Mode | None = None) -> None:
        self._heartbeat.detail(self._database.name, state)
        self._sink.set_state(state, error, schema_changes)

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


def drain(database: SourceDatabase, warehouse_dsn: str, heartbeat: Heartbeat, stop: threading.Event) -> Position:
    """Lands one source to now and stops, for batch use. Raises SourceTaken while a resident worker lands it."""
    return Landing(database, warehouse_dsn, heartbeat, patience=0.0).drain(stop)


def run(databases: Sequence[SourceDatabase], warehouse_dsn: str, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Lands every source, each in a thread of its own, until ``stop``. Raises an error that is nobody's outage."""
    collect_rarely()
    run_each(
        {
            f"landing-{database.name}": partial(Landing(database, warehouse_dsn, heartbeat).run, stop)
            for database in databases
        },
        stop,
    )
