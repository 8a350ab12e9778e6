"""One process at a time writes the indexes of an installation, for as long as its session in the warehouse lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from search.errors import IndexLocked

LOCK: Final = 0x68775F73726368  # "hw_srch"

PATIENCE: Final = 5.0
"""Seconds. The session of a killed predecessor ends when the server notices."""

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def leased(dsn: str, *, patience: float = PATIENCE) -> Iterator[Connection]:
    """An autocommit connection as ``wh_owner`` that holds the lease. Raises IndexLocked, naming the holder."""
    with psycopg.connect(dsn, autocommit=True, application_name="headwater search", connect_timeout=5) as connection:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", [f"{max(1, int(patience * 1000))}ms"])
            try:
                connection.execute("select pg_advisory_lock(%s)", [LOCK])
            except psycopg.errors.LockNotAvailable:
                taken = True
            else:
                taken = False
            if taken:
                raise psycopg.Rollback
        if taken:
            raise IndexLocked(f"The search indexes are written by another process ({holder(connection)}).")
        yield connection


def holder(connection: Connection) -> str:
    """Who has the lease, for people."""
    found = connection.execute(
        "select format('warehouse session %%s, %%s', session.pid, session.application_name)"
        " from pg_stat_activity as session inner join pg_locks as held using (pid)"
        " where held.locktype = 'advisory' and held.granted and held.objsubid = 1"
        " and (held.classid::bigint << 32) | held.objid::bigint = %s"
        " and session.datname = current_database()",
        [LOCK],
    ).fetchone()
    return str(found[0]) if found else "it has just gone"
