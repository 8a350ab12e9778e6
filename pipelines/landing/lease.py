"""One process at a time lands a source, or several that share it over Kafka: a lock that lives as long as its session
in the warehouse."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg

from pipelines.landing.errors import SourceTaken

LOCK_CLASS: Final = 0x6877  # "hw": the first half of the lock's key, the second is the source's hash

PATIENCE: Final = 5.0
"""Seconds. A killed predecessor's session ends when the server notices, which takes as long as its last statement."""


def take_lease(
    connection: psycopg.Connection[tuple[Any, ...]], source: str, *, patience: float = PATIENCE, shared: bool = False
) -> None:
    """Holds the source until the connection ends, alone or beside others who share it.

    Raises SourceTaken, naming the session that has it.
    """
    function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    deadline = time.monotonic() + patience
    while True:
        row = connection.execute(f"select {function}(%s, hashtext(%s))".encode(), [LOCK_CLASS, source]).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() >= deadline:
            raise SourceTaken(source, holder=_holder(connection, source))
        time.sleep(0.05)


def _holder(connection: psycopg.Connection[tuple[Any, ...]], source: str) -> str:
    row = connection.execute(
        "select a.pid, a.application_name, a.client_addr::text, a.client_port, a.backend_start::text"
        " from pg_locks l join pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and l.classid = %s and l.database ="
        " (select oid from pg_database where datname = current_database())"
        " and l.objid = (hashtext(%s)::bigint & 4294967295)::oid",
        [LOCK_CLASS, source],
    ).fetchone()
    if row is None:
        return "it has just gone"
    return f"warehouse session {row[0]} ({row[1]}) from {row[2]}:{row[3]} since {row[4]}"
