"""One process at a time writes the lake: the resident worker, Dagster or a command, each for one step's length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from pipelines.lake.errors import LakeTaken

LOCK: Final = 0x68775F6C616B65  # "hw_lake"

PATIENCE: Final = 60.0
"""Seconds. A load or a merge is done in a few; a killed predecessor's session ends when the server notices."""

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def writing(dsn: str, *, patience: float = PATIENCE) -> Iterator[Connection]:
    """A connection to the warehouse (role ``wh_owner``, autocommit) that holds the lease. Raises LakeTaken."""
    with psycopg.connect(
        dsn, autocommit=True, application_name="headwater lake", connect_timeout=5, keepalives_idle=10
    ) as connection:
        connection.execute(f"set lock_timeout = {int(patience * 1000) or 1}".encode())
        try:
            connection.execute("select pg_advisory_lock(%s)", [LOCK])
        except psycopg.errors.LockNotAvailable:
            raise LakeTaken(_holder(connection)) from None
        connection.execute("set lock_timeout = 0")
        yield connection


def _holder(connection: Connection) -> str:
    row = connection.execute(
        "select a.pid::text || ', ' || a.application_name || ', since ' || a.backend_start::text"
        " from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted"
        " and (l.classid::bigint << 32) + l.objid::bigint = %s and l.objsubid = 1",
        [LOCK],
    ).fetchone()
    return f"warehouse session {row[0]}" if row else "it has just gone"
