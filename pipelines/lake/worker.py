"""The lake worker: loads what landed every 20 s or 50,000 changes, keeps files few, drops days that are safe.

Dagster calls the same functions: ``drain``, ``compact``, ``expire``, ``verify`` and ``drop_verified`` each take the
lease for one step, so they may run beside the resident worker; the later one waits a moment for the other.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import duckdb
import psycopg

from pipelines.lake.errors import Unverified
from pipelines.lake.housekeeping import compact, crowded, expirable, expire
from pipelines.lake.loader import NOT_HELD_BACK, ROWS, drain, load
from pipelines.lake.retention import drop_verified, verify
from pipelines.runtime import BackOff, Heartbeat, Stop
from warehouse.lake.errors import LakeError
from warehouse.lake.place import Lake, without_password

__all__ = ["compact", "drain", "drop_verified", "expire", "run", "verify"]

AFTER: Final = 20.0
"""Seconds that the oldest waiting change waits at most before a load begins. A load takes one or two."""

POLL: Final = 1.0
EXPIRE_EVERY: Final = 30.0
RETAIN_EVERY: Final = 3600.0

_WAITING: Final = f"""
select coalesce(sum(batch.changes), 0)::bigint, coalesce(extract(epoch from now() - min(batch.landed_at)), 0)::float8
from (select batch_id from log.queue where consumer = 'lake' order by batch_id limit 20000) as queued
join log.batch using (batch_id)
where {NOT_HELD_BACK}
"""

log = logging.getLogger(__name__)


def run(lake: Lake, heartbeat: Heartbeat, stop: Stop, *, after: float = AFTER) -> None:
    """Until ``stop``. Outages, a full disk and a lease held elsewhere are shown in the heartbeat and waited for."""
    back_off = BackOff(longest=30.0)
    while not stop.is_set():
        try:
            with psycopg.connect(lake.log, autocommit=True, application_name="headwater lake waits") as connection:
                _work(lake, connection, heartbeat, stop, after, back_off)
        except (psycopg.Error, duckdb.Error, LakeError, OSError) as error:
            told = without_password(str(error).strip())
            if heartbeat.error(told):
                log.warning("lake waits: %s", told)
            back_off.wait(stop)
    heartbeat.beat(force=True)


def _work(
    lake: Lake,
    connection: psycopg.Connection[tuple[Any, ...]],
    heartbeat: Heartbeat,
    stop: Stop,
    after: float,
    back_off: BackOff,
) -> None:
    looked = retained = -RETAIN_EVERY
    while not stop.is_set():
        waiting, oldest = _waiting(connection)
        if waiting >= ROWS or oldest >= after:
            done = load(lake)
            heartbeat.progress(loads=1, batches=done.batches, changes=done.changes)
            if crowded(connection):
                heartbeat.progress(files_merged=compact(lake))
        now = time.monotonic()
        if now - looked >= EXPIRE_EVERY:
            looked = now
            if expirable(connection):
                heartbeat.progress(files_deleted=expire(lake).files)
        if now - retained >= RETAIN_EVERY:
            retained = now
            _retain(lake, heartbeat)
        heartbeat.error(None)
        heartbeat.beat()
        back_off.reset()
        stop.wait(POLL)


def _retain(lake: Lake, heartbeat: Heartbeat) -> None:
    """A day that cannot be dropped stays, is told of, and holds nothing else up."""
    try:
        heartbeat.progress(days_dropped=len(drop_verified(lake)))
        heartbeat.error(None, part="retention")
    except Unverified as error:
        if heartbeat.error(str(error), part="retention"):
            log.warning("%s", error)


def _waiting(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, float]:
    row = connection.execute(_WAITING).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)
