"""Making, looking at and dropping logical replication slots."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import errors
from psycopg.rows import dict_row, tuple_row

from cdc.errors import SlotBlocked, SlotInUse
from cdc.positions import Epoch, format_lsn, parse_lsn
from cdc.sources.replication import ReplicationConnection, ReplicationError

FAILOVER: Final = 170000
"""The server's version from which on slots can outlive their server."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot as the server sees it. ``retained_bytes`` is the WAL between what it confirmed and the present end."""

    name: str
    active_pid: int | None
    confirmed_lsn: int
    wal_status: str
    retained_bytes: int


def create_slot(dsn: str, slot: str, *, timeout: float = 30.0) -> int:
    """Makes the pgoutput slot and returns the LSN from which it delivers; an existing slot's LSN if there is one.

    From PostgreSQL 17 on the slot is one that a standby keeps a copy of, if it is told to (``sync_replication_slots``).

    PostgreSQL waits for every transaction that is writing at this moment; raises SlotBlocked naming them if that
    takes longer than ``timeout`` seconds. ``dsn``'s role needs REPLICATION.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        creation = _Creation(connection, slot)
        creation.join(timeout)
        if creation.is_alive():
            pids, blockers = _blockers(dsn, connection.info.backend_pid)
            connection.cancel_safe()
            creation.join()
            if creation.lsn is None:
                raise SlotBlocked(slot, waited=timeout, blockers=blockers, pids=pids)
        if creation.failure is not None:
            if not isinstance(creation.failure, errors.DuplicateObject):
                raise creation.failure
            state = slot_state(dsn, slot)
            if state is None:
                raise creation.failure
            return state.confirmed_lsn
        assert creation.lsn is not None
        return creation.lsn


class _Creation(threading.Thread):
    """The command that waits, in a thread, so that what it waits for can be asked meanwhile."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], slot: str) -> None:
        super().__init__(name=f"create-slot-{slot}", daemon=True)
        self._connection = connection
        self._slot = slot
        self.lsn: int | None = None
        self.failure: psycopg.Error | None = None
        self.start()

    def run(self) -> None:
        try:
            failover = ", failover => true" if self._connection.info.server_version >= FAILOVER else ""
            row = self._connection.execute(
                f"select lsn::text from pg_create_logical_replication_slot(%s, 'pgoutput'{failover})".encode(),
                [self._slot],
            ).fetchone()
            assert row is not None
            self.lsn = parse_lsn(str(row[0]))
        except psycopg.Error as error:
            self.failure = error


def _blockers(dsn: str, pid: int) -> tuple[list[int], list[str]]:
    """(pids, descriptions) of what server process ``pid`` waits for, as far as this role may see them."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(
            """
            select blocking as pid, a.usename, a.application_name, a.state, p.gid,
              extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::int as seconds
            from unnest(pg_blocking_pids(%s)) blocking
            left join pg_stat_activity a on a.pid = blocking
            left join pg_locks l on blocking = 0 and l.pid is null and l.locktype = 'transactionid'
            left join pg_prepared_xacts p on p.transaction = l.transactionid
            """,
            [pid],
        ).fetchall()
    pids = [row["pid"] for row in rows if row["pid"]]
    described = [
        f"prepared transaction {row['gid']!r} for {row['seconds']} s (rollback prepared)"
        if row["pid"] == 0
        else f"pid {row['pid']} ({row['usename']}, {row['application_name'] or 'no application name'}, "
        f"{row['state'] or 'state hidden'}, open for {row['seconds']} s)"
        for row in rows
    ]
    return pids, described


def slot_state(dsn: str, slot: str) -> SlotState | None:
    """The slot's state, None if it does not exist."""
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        row = connection.execute(
            """
            select active_pid, coalesce(confirmed_flush_lsn, '0/0')::text as confirmed, wal_status,
              pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint as retained
            from pg_replication_slots
            where slot_name = %s
            """,
            [slot],
        ).fetchone()
    if row is None:
        return None
    return SlotState(slot, row["active_pid"], parse_lsn(row["confirmed"]), row["wal_status"], row["retained"] or 0)


def mark_for_failover(dsn: str, slot: str) -> bool:
    """Has a standby keep a copy of a slot that was not made so (PostgreSQL 17); whether the slot is marked now.

    False, with nothing changed, for an older server, a slot that is not there, and one that somebody reads.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.info.server_version < FAILOVER:
            return False
        row = connection.execute(
            "select failover, active from pg_replication_slots where slot_name = %s", [slot]
        ).fetchone()
    if row is None or row[0] or row[1]:
        return row is not None and row[0]
    replication = ReplicationConnection(dsn)
    try:
        replication.mark_for_failover(slot)
    except ReplicationError as error:
        log.info("slot %s is not marked for failover: %s", slot, error)
        return False
    finally:
        replication.close()
    return True


def copy_slot(dsn: str, slot: str, copy: str) -> None:
    """Makes ``copy``, which delivers from where ``slot`` does and waits for no transaction; ``slot`` may be in use.
    A standby keeps its copy as it does that of ``slot``, which PostgreSQL does not copy by itself.

    Raises psycopg.Error if there is no ``slot``, a ``copy`` already, or no room for one more.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_copy_logical_replication_slot(%s, %s)", [slot, copy])
    mark_for_failover(dsn, copy)


def advance_slot(dsn: str, slot: str, lsn: int | None = None) -> None:
    """Moves a slot that nobody reads to exactly ``lsn`` (None: the end of the WAL), so that it delivers what commits
    there or later, whole transactions. Raises psycopg.Error if it stands further on, or is in use."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        target = "pg_current_wal_flush_lsn()" if lsn is None else f"'{format_lsn(lsn)}'"
        connection.execute(f"select pg_replication_slot_advance(%s, {target})".encode(), [slot])


def read_epoch(dsn: str, slot: str) -> Epoch:
    """The epoch of positions of ``slot``: this cluster and its timeline. ``dsn``'s role needs REPLICATION."""
    connection = ReplicationConnection(dsn)
    try:
        system = connection.identify()
    finally:
        connection.close()
    return Epoch(system.system_id, system.timeline, slot)


def drop_slot(dsn: str, slot: str, *, timeout: float = 10.0) -> bool:
    """Drops the slot, once its reader has left; whether there was one. Raises SlotInUse after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    with psycopg.connect(dsn, autocommit=True, row_factory=tuple_row) as connection:
        while True:
            try:
                connection.execute("select pg_drop_replication_slot(%s)", [slot])
                return True
            except errors.UndefinedObject:
                return False
            except errors.ObjectInUse:
                state = slot_state(dsn, slot)
                if state is not None and state.active_pid is not None and time.monotonic() >= deadline:
                    raise SlotInUse(slot, pid=state.active_pid, waited=timeout) from None
            time.sleep(0.05)
