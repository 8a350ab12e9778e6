"""Reading one table again because somebody asked: beside the stream, by whoever lands the source.

The rows carry a stamp, a position of the source's log such that every change before it can be seen by the read: rows
that the stream writes after it win. Rows that are older than the stamp when the read ends exist no longer, and are
flagged.
"""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg

from cdc.positions import format_lsn
from pipelines.landing.errors import LandingError
from pipelines.landing.worker import SourceDatabase

WRITERS_TIMEOUT: Final = 60.0
"""Seconds to wait for the transactions that were writing when the re-read was asked for."""

Connection = psycopg.Connection[tuple[Any, ...]]


class NotMirrored(LandingError):
    """The source has no mirror of this table."""

    def __init__(self, source: str, table: str) -> None:
        super().__init__(
            f"Source {source} has no mirror of {table}: it is not published, or was dropped. Nothing was changed."
        )


class StillWriting(LandingError):
    """A transaction of the source stays open; until it ends nobody knows what it wrote before the stamp."""

    def __init__(self, source: str, blockers: str) -> None:
        super().__init__(
            f"Source {source}: a transaction has been open for more than {WRITERS_TIMEOUT:.0f} s ({blockers}). "
            "End it, or ask again when it has ended. Nothing was changed."
        )


class Superseded(LandingError):
    """The table changed its shape meanwhile, and is read again for that."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"{table} changed its shape while it was waiting to be read again, and is now read for that change. "
            "Ask again afterwards if rows that no longer exist should be looked for."
        )


def request(database: SourceDatabase, warehouse_dsn: str, table: str) -> int:
    """Asks for ``schema.table`` to be read again; returns the number of the request, a row of ``log.snapshot``.

    A request that still waits is taken over. Raises NotMirrored, StillWriting.
    """
    schema, _, name = table.partition(".")
    with psycopg.connect(warehouse_dsn, autocommit=True, application_name="headwater re-read") as warehouse:
        found = warehouse.execute(
            "select m.relid, p.epoch from log.mirror m join log.position p using (source)"
            " where m.source = %s and m.schema_name = %s and m.table_name = %s and m.dropped_at is null",
            [database.name, schema, name],
        ).fetchone()
        if found is None:
            raise NotMirrored(database.name, table)
        relid, epoch = found
        waiting = warehouse.execute(
            "select snapshot_id from log.snapshot where source = %s and epoch = %s and relid = %s"
            " and purpose = 'reread' and sweeps and finished_at is null",
            [database.name, epoch, relid],
        ).fetchone()
        if waiting is not None:
            return int(waiting[0])
        stamp = _stamp(database)
        made = warehouse.execute(
            "insert into log.snapshot (source, epoch, purpose, relid, stamp_lsn, sweeps)"
            " values (%s, %s, 'reread', %s, %s, true) returning snapshot_id",
            [database.name, epoch, relid, format_lsn(stamp)],
        ).fetchone()
        assert made is not None
        return int(made[0])


def rows_read(warehouse: Connection, snapshot_id: int, table: str) -> tuple[int, bool]:
    """How many rows the re-read has stored, and whether it is finished. Raises Superseded."""
    found = warehouse.execute(
        "select rows, finished_at is not null from log.snapshot where snapshot_id = %s", [snapshot_id]
    ).fetchone()
    if found is None:
        raise Superseded(table)
    return int(found[0]), bool(found[1])


def _stamp(database: SourceDatabase) -> int:
    """An LSN before which nothing is uncommitted any more: what writes now has ended when this returns."""
    with psycopg.connect(database.dsn, autocommit=True, application_name="headwater re-read") as source:
        # Taking a transaction's number: whoever wrote before the LSN has a smaller one. A snapshot's xmax is no such
        # number: it may be that of a transaction in progress.
        row = source.execute("select pg_current_wal_insert_lsn() - '0/0', pg_current_xact_id()::text").fetchone()
        assert row is not None
        deadline = time.monotonic() + WRITERS_TIMEOUT
        while _oldest(source) < int(row[1]):
            if time.monotonic() > deadline:
                raise StillWriting(database.name, _blockers(source, int(row[1])))
            time.sleep(0.05)
        return int(row[0])


def _oldest(source: Connection) -> int:
    row = source.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None
    return int(row[0])


def _blockers(source: Connection, before: int) -> str:
    rows = source.execute(
        "select format('session %%s of %%s since %%s', pid, usename, xact_start::timestamptz(0)) from pg_stat_activity"
        " where backend_xid is not null and backend_xid::text::bigint < %s %% 4294967296 order by xact_start",
        [before],
    ).fetchall()
    return "; ".join(str(words) for (words,) in rows) or "a prepared transaction"
