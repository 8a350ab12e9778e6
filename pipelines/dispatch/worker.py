"""The dispatch worker: a batch becomes deliveries and a position in one transaction, then is acknowledged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import psycopg

from cdc.errors import StreamError
from cdc.events import Batch
from cdc.failpoints import reach
from cdc.sources.port import Source
from pipelines.dispatch.errors import DispatchError
from pipelines.dispatch.outbox import OutboxRow, rows_of, traced
from pipelines.dispatch.store import connect, insert_deliveries, store_position, stored_position
from pipelines.runtime import BackOff, Heartbeat, collect_rarely, run_each

FAILPOINTS: Final = (
    "dispatch.before_insert",
    "dispatch.before_commit",
    "dispatch.after_commit",
    "dispatch.after_acknowledge",
)

MAX_CHANGES: Final = 5_000
"""Outbox rows a batch, about; a larger transaction still is one batch, inserted in pieces of this many rows."""

READ_TIMEOUT: Final = 1.0
"""Seconds to wait for the stream before looking whether to stop."""

log = logging.getLogger(__name__)


class Dispatcher:
    """Dispatches one source. ``stream_dsn`` logs in to the stream database as ``hw_dispatch``.

    Whatever goes wrong with the source or the stream database is named in the heartbeat and in the log, and tried
    again from the stored position: an outage ends by itself, a lost slot once it was repaired.
    """

    def __init__(self, source: Source, stream_dsn: str, heartbeat: Heartbeat) -> None:
        self._source = source
        self._stream_dsn = stream_dsn
        self._heartbeat = heartbeat

    def run(self, stop: threading.Event) -> None:
        back_off = BackOff()
        while not stop.is_set():
            try:
                with connect(self._stream_dsn) as connection:
                    self._source.start(stored_position(connection, self._source.name))
                    report(self._heartbeat, self._source.name, None)
                    while not stop.is_set():
                        batch = self._source.read(MAX_CHANGES, READ_TIMEOUT)
                        self._heartbeat.beat()
                        if batch is not None:
                            self._dispatch(connection, batch)
                            back_off.reset()
            except (StreamError, DispatchError, psycopg.OperationalError) as error:
                report(self._heartbeat, self._source.name, str(error).strip())
                back_off.wait(stop)
            finally:
                self._source.close()

    def _dispatch(self, connection: psycopg.Connection[tuple[Any, ...]], batch: Batch) -> None:
        delivered = rows = 0
        with connection.transaction():
            reach("dispatch.before_insert")
            for piece in _pieces(rows_of(batch.transactions), MAX_CHANGES):
                rows += len(piece)
                with traced(piece) as carried:
                    delivered += sum(insert_deliveries(connection, self._source.name, carried).values())
            last_commit = batch.transactions[-1].committed_at if batch.transactions else None
            store_position(connection, batch.position, last_commit)
            reach("dispatch.before_commit")
        reach("dispatch.after_commit")
        self._source.acknowledge(batch.position)
        reach("dispatch.after_acknowledge")
        if rows:
            self._heartbeat.progress(events=rows, deliveries=delivered)


def report(heartbeat: Heartbeat, source: str, problem: str | None) -> None:
    """Says in the heartbeat, and once in the log, what is wrong with the source; None: it is well again."""
    if heartbeat.error(problem, source):
        if problem is None:
            log.info("dispatch of %s goes on", source)
        else:
            log.error("dispatch of %s: %s", source, problem)


def _pieces(rows: Iterator[OutboxRow], size: int) -> Iterator[list[OutboxRow]]:
    while piece := list(islice(rows, size)):
        yield piece


def run(sources: Sequence[Source], stream_dsn: str, heartbeat: Heartbeat, stop: threading.Event) -> None:
    """Dispatches every source, each in a thread of its own, until ``stop``. Raises an error that is nobody's outage."""
    collect_rarely()
    run_each(
        {f"dispatch-{source.name}": partial(Dispatcher(source, stream_dsn, heartbeat).run, stop) for source in sources},
        stop,
    )
