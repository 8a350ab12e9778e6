"""The search worker: wakes when a batch lands and runs passes of the sync until none is due.

Dagster calls ``drain``: whoever holds the lease does the work, so it may be called beside the resident worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Final

import psycopg

from cdc.failpoints import reach
from pipelines import tracing
from pipelines.runtime import BackOff, Heartbeat, Stop
from search.engines import open_engine
from search.errors import EngineUnavailable, IndexLocked, SearchError
from search.lease import leased
from search.place import Place
from search.sync import Pass, Sync

PASS_SECONDS: Final = 0.2
"""At least, from the start of one pass to the next: under load, batches are written together."""

LOOK_SECONDS: Final = 5.0
"""Between looks at the queue when nobody said that a batch had landed."""

DRAIN_SECONDS: Final = 3600.0

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]


def traced(connection: Connection, batches: Sequence[int]) -> AbstractContextManager[object]:
    """A span in the trace of each traced write of these batches."""
    return tracing.spans("search", tracing.parents_of_batches(connection, batches), batches=len(batches))


def run(warehouse_dsn: str, place: Place, heartbeat: Heartbeat, stop: Stop) -> None:
    """Until ``stop``. ``warehouse_dsn`` logs in as ``wh_owner``.

    An engine that is down, slow or out of disk, a warehouse that is away and a lease held elsewhere are shown in the
    heartbeat and waited for; what has landed meanwhile stays in the queue.
    """
    back_off = BackOff(longest=2.0)
    with closing(open_engine(place)) as engine:
        heartbeat.detail("engine", engine.name)
        while not stop.is_set():
            try:
                with leased(warehouse_dsn) as connection:
                    _work(Sync(connection, engine, reach, traced), connection, heartbeat, stop, back_off)
            except (psycopg.Error, SearchError) as error:
                _tell(heartbeat, error)
                back_off.wait(stop)
    heartbeat.beat(force=True)


def drain(warehouse_dsn: str, place: Place, *, timeout: float = DRAIN_SECONDS) -> list[Pass]:
    """Everything that has landed by now is found when this returns; the passes that this process ran for it.

    A resident worker that holds the lease does it, and is waited for. Raises SearchError where the engine does not
    take it, IndexLocked where another holder has not come so far after ``timeout`` seconds.
    """
    passes: list[Pass] = []
    deadline = time.monotonic() + timeout
    with psycopg.connect(warehouse_dsn, autocommit=True, application_name="headwater search drain") as observer:
        newest = _value(observer, "select max(batch_id) from log.queue where consumer = 'search'")
        while True:
            try:
                with closing(open_engine(place)) as engine, leased(warehouse_dsn, patience=0.2) as connection:
                    sync = Sync(connection, engine, reach, traced)
                    while sync.is_due():
                        passes.append(sync.run_pass())
                    return passes
            except IndexLocked:
                waiting = _value(
                    observer,
                    "select count(*) from log.queue where consumer = 'search' and batch_id <= %s",
                    newest or 0,
                )
                if not waiting and not _unbuilt(observer):
                    return passes
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _work(sync: Sync, connection: Connection, heartbeat: Heartbeat, stop: Stop, back_off: BackOff) -> None:
    connection.execute("listen hw_landed")
    while not stop.is_set():
        began = time.monotonic()
        try:
            if sync.is_due():
                _count(heartbeat, sync.run_pass())
                heartbeat.detail("building", {name: build.documents for name, build in sync.builds.under_way.items()})
                if not sync.builds.under_way:
                    stop.wait(max(0.0, began + PASS_SECONDS - time.monotonic()))
            else:
                _await_batch(connection, heartbeat, stop)
        except EngineUnavailable as error:
            # The lease, and an index that grows in another engine's files, need not be given up for that.
            _tell(heartbeat, error)
            back_off.wait(stop)
            continue
        heartbeat.error(None)
        back_off.reset()


def _count(heartbeat: Heartbeat, done: Pass) -> None:
    heartbeat.progress(
        passes=1, batches=done.batches, read=done.read, put=done.put, removed=done.removed, refused=done.refused
    )


def _tell(heartbeat: Heartbeat, error: Exception) -> None:
    told = str(error).strip()
    if heartbeat.error(told):
        log.warning("search waits: %s", told)


def _await_batch(connection: Connection, heartbeat: Heartbeat, stop: Stop) -> None:
    """Until a batch lands, it is time to look, or ``stop``; beats meanwhile."""
    looked = time.monotonic()
    landed: Callable[[], bool] = lambda: bool(list(connection.notifies(timeout=0.5, stop_after=1)))  # noqa: E731
    while not stop.is_set() and not landed() and time.monotonic() - looked < LOOK_SECONDS:
        heartbeat.beat()


def _unbuilt(observer: Connection) -> bool:
    """Whether an index has never been finished."""
    return bool(
        _value(observer, "select exists (select from search.standing where fingerprint = '')")
        or not _value(observer, "select exists (select from search.standing)")
    )


def _value(connection: Connection, query: str, *parameters: object) -> Any:
    row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None
