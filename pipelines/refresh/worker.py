"""The refresh worker: wakes when a batch lands, and runs passes of the hot lane until none is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg

from pipelines.refresh.errors import LaneTaken, RefreshError
from pipelines.refresh.lane import Lane, Pass
from pipelines.refresh.program import Program, load
from pipelines.runtime import BackOff, Heartbeat, Stop
from warehouse.compile import DbtError, compile_hot

LOCK: Final = 0x68775F72656672  # "hw_refr": one lane a warehouse
LEASE_PATIENCE: Final = 5.0
"""Seconds. The session of a killed predecessor ends when the server notices."""

POLL_SECONDS: Final = 5.0
"""Between looks at the queue when no notification came: one may be lost while a connection is made."""

PASS_SECONDS: Final = 0.25
"""At least, from the start of one pass to the next: under load, batches are refreshed together."""

log = logging.getLogger(__name__)


def run(warehouse_dsn: str, target: Path, heartbeat: Heartbeat, stop: Stop) -> None:
    """Until ``stop``. ``warehouse_dsn`` logs in as ``wh_owner``; ``target`` keeps the compiled models between starts.

    Outages, a lane held elsewhere and marts that are not built yet are shown in the heartbeat and waited for.
    """
    back_off = BackOff()
    while not stop.is_set():
        try:
            program = load(compile_hot(target))
            with psycopg.connect(warehouse_dsn, autocommit=True, application_name="headwater refresh") as connection:
                _work(connection, program, heartbeat, stop, back_off.reset)
        except (psycopg.Error, RefreshError, DbtError) as error:
            if heartbeat.error(str(error).strip()):
                log.warning("refresh waits: %s", str(error).strip())
            back_off.wait(stop)
    heartbeat.beat(force=True)


def drain(warehouse_dsn: str, target: Path) -> list[Pass]:
    """Runs passes until nothing is due; for batch use. Raises LaneTaken while a resident worker holds the lane."""
    program = load(compile_hot(target))
    with psycopg.connect(warehouse_dsn, autocommit=True, application_name="headwater refresh") as connection:
        lane = _open(connection, program)
        passes = []
        while lane.is_due():
            passes.append(lane.run_pass())
        return passes


def _work(
    connection: psycopg.Connection[tuple[Any, ...]],
    program: Program,
    heartbeat: Heartbeat,
    stop: Stop,
    reset: Callable[[], None],
) -> None:
    lane = _open(connection, program)
    connection.execute("listen hw_landed")
    looked = 0.0
    while not stop.is_set():
        looked = time.monotonic()
        if lane.is_due():
            done = lane.run_pass()
            heartbeat.progress(
                passes=1, batches=done.batches, keys=done.keys, rebuilt=len(done.rebuilt), parked=done.parked
            )
            stop.wait(max(0.0, looked + PASS_SECONDS - time.monotonic()))
        else:
            _wait(connection, heartbeat, stop)
        heartbeat.error(None)
        reset()


def _wait(connection: psycopg.Connection[tuple[Any, ...]], heartbeat: Heartbeat, stop: Stop) -> None:
    """Until a batch lands, the poll is due or ``stop``; beats meanwhile."""
    deadline = time.monotonic() + POLL_SECONDS
    while not stop.is_set() and time.monotonic() < deadline:
        if list(connection.notifies(timeout=0.5, stop_after=1)):
            return
        heartbeat.beat()


def _open(connection: psycopg.Connection[tuple[Any, ...]], program: Program) -> Lane:
    """Takes the lane for as long as the connection lives, and makes what readers need on the mirror."""
    deadline = time.monotonic() + LEASE_PATIENCE
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if row is not None and row[0]:
            break
        if time.monotonic() > deadline:
            raise LaneTaken(_holder(connection))
        time.sleep(0.05)
    connection.execute(program.prepare.encode())
    return Lane(connection, program)


def _holder(connection: psycopg.Connection[tuple[Any, ...]]) -> int | None:
    row = connection.execute(
        "select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1"
        " and (classid::bigint << 32) + objid::bigint = %s"
        " and database = (select oid from pg_database where datname = current_database())",
        [LOCK],
    ).fetchone()
    return row[0] if row else None
