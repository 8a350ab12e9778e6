"""Day partitions of ``log.change_log``: made ahead. Dropping them is the lake's business, once it verified them."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg

DAYS_AHEAD = 3
"""Partitions made beyond today: a landing process that lives for weeks makes them daily, a stalled one has slack."""


def partition_name(day: date) -> str:
    return f"change_log_{day:%Y%m%d}"


def ensure_partitions(connection: psycopg.Connection[tuple[object, ...]], today: date) -> date:
    """Makes the partitions of ``today`` (UTC) and the days after it that are absent; returns the last day covered.

    Runs inside the caller's transaction, if there is one. Two callers at once wait for each other.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('log.change_log partitions'))")
        for offset in range(DAYS_AHEAD + 1):
            day = today + timedelta(days=offset)
            name = f"log.{partition_name(day)}"
            if connection.execute("select to_regclass(%s) is not null", [name]).fetchone() == (True,):
                continue
            # psycopg's parameters cannot stand in DDL; both literals are dates made here.
            connection.execute(
                f"create table {name} partition of log.change_log"
                f" for values from ('{day}') to ('{day + timedelta(days=1)}')".encode()
            )
            # The parent's row security does not hold for who asks a partition by its own name.
            connection.execute(f"alter table {name} enable row level security".encode())
    return today + timedelta(days=DAYS_AHEAD)
