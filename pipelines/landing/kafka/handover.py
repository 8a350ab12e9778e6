"""A source's slot changes hands between landing and Debezium: no table is read again, nothing is missed, nothing comes
twice.

Up: the slot is moved to exactly the stored position while nobody lands, and delivers whole transactions from there to
whoever reads it next. Back: Debezium runs ahead of what it tells the slot, so a copy of the slot is made first; then
the source's time with Kafka is ended at a commit (``leaving``), and once everything before it has landed, the copy
takes the slot's place, to be read from that commit on. Every function here may be called again after a crash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg

from cdc.boundary import draw_boundary
from cdc.errors import EpochMismatch, SlotGap, SlotInUse, SlotMissing
from cdc.failpoints import reach
from cdc.positions import Position, format_lsn
from cdc.slots import SlotState, advance_slot, copy_slot, drop_slot, read_epoch, slot_state
from pipelines.landing.errors import NotYetLoaded
from pipelines.landing.kafka import leaving
from pipelines.landing.sinks.warehouse import WarehouseSink
from pipelines.landing.worker import SourceDatabase

PATIENCE = 30.0
"""Seconds for a reader that has stopped to leave its slot."""

Ends = Callable[[], dict[tuple[str, int], int]]
"""Where each (topic, partition) of the source ends now."""


def spare_of(database: SourceDatabase) -> str:
    """The slot that keeps what comes after the end, until it takes the place of the one that Debezium reads."""
    return f"{database.slot}_return"


@contextmanager
def handed_over(database: SourceDatabase, warehouse_dsn: str) -> Iterator[Position]:
    """Inside the block nobody lands the source, and its slot, which nobody reads, delivers exactly what follows the
    stored position. A crash of the source's server may take the slot back, until a checkpoint.

    Raises NotYetLoaded, SourceTaken, SlotMissing, SlotInUse, SlotGap or EpochMismatch.
    """
    with closing(WarehouseSink(warehouse_dsn, database.name)) as sink:
        position = sink.open()
        if position is None or any(not s.finished for s in sink.snapshots() if not s.is_reread):
            raise NotYetLoaded(database.name)
        found = read_epoch(database.dsn, database.slot)
        if found != position.epoch:
            raise EpochMismatch(database.name, stored=position.epoch, found=found)
        state = _free(database, position.lsn)
        if state.confirmed_lsn > position.lsn:
            gap = (format_lsn(position.lsn), format_lsn(state.confirmed_lsn))
            reason = "the slot was moved past the stored position"
            raise SlotGap(database.name, database.slot, gap_from=gap[0], gap_to=gap[1], reason=reason)
        advance_slot(database.dsn, database.slot, position.lsn)
        yield position


def keep_a_copy(database: SourceDatabase, warehouse_dsn: str) -> None:
    """Makes the spare slot, unless it stands, and moves it up to now, unless the source has its end before that."""
    spare = spare_of(database)
    with psycopg.connect(warehouse_dsn, autocommit=True) as warehouse:
        if leaving.end_of(warehouse, database.name) is not None:
            return
    if slot_state(database.dsn, spare) is None:
        copy_slot(database.dsn, database.slot, spare)
    advance_slot(database.dsn, spare)


def end(database: SourceDatabase, warehouse_dsn: str) -> int:
    """Where the source's time with Kafka ends, from now on for every worker. The spare slot stands."""
    with psycopg.connect(warehouse_dsn, autocommit=True) as warehouse:
        until = leaving.end_at(
            warehouse,
            database.name,
            lambda: draw_boundary(database.dsn, spare_of(database), database.publications),
        )
    # Debezium tells the slot of a commit with the next one: on a quiet source, up to a heartbeat later.
    database.mark()
    return until


def unlanded(database: SourceDatabase, warehouse_dsn: str, until: int, ends: Ends) -> str | None:
    """What is yet to come before everything up to ``until`` has landed over Kafka, in words; None if it has.

    The slot says what Kafka has: it is told once Kafka has acknowledged everything before.
    """
    state = slot_state(database.dsn, database.slot)
    if state is None:
        raise SlotMissing(database.name, database.slot, stored=format_lsn(until))
    if state.confirmed_lsn < until:
        return f"Debezium has delivered up to {format_lsn(state.confirmed_lsn)} of {format_lsn(until)}"
    with psycopg.connect(warehouse_dsn, autocommit=True) as warehouse:
        unread = leaving.unread(warehouse, database.name, ends())
    return f"{unread:,} records are yet to be landed" if unread else None


def take_back(database: SourceDatabase, warehouse_dsn: str) -> int:
    """Puts the spare slot's copy in the place of the one that Debezium has left, and the source's position at its end.

    Everything before that end has landed, and no connector comes back. Returns the position. Raises SourceTaken.
    """
    with closing(WarehouseSink(warehouse_dsn, database.name)) as sink:
        sink.open()
        until = leaving.end_of(sink.connection, database.name)
        if until is None:
            raise RuntimeError(f"source {database.name} has no end over Kafka")
        drop_slot(database.dsn, database.slot, timeout=PATIENCE)
        reach("handover.between_slots")
        copy_slot(database.dsn, spare_of(database), database.slot)
        leaving.take_position(sink.connection, database.name, until)
        return until


def finish_return(database: SourceDatabase, warehouse_dsn: str) -> None:
    """Clears away what the way back needed; nobody lands over Kafka any more."""
    drop_slot(database.dsn, spare_of(database))
    with psycopg.connect(warehouse_dsn, autocommit=True) as warehouse:
        leaving.forget(warehouse, database.name)


def _free(database: SourceDatabase, stored: int) -> SlotState:
    deadline = time.monotonic() + PATIENCE
    while True:
        state = slot_state(database.dsn, database.slot)
        if state is None:
            raise SlotMissing(database.name, database.slot, stored=format_lsn(stored))
        if state.active_pid is None:
            return state
        if time.monotonic() > deadline:
            raise SlotInUse(database.slot, pid=state.active_pid, waited=PATIENCE)
        time.sleep(0.05)
