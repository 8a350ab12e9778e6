"""The services' own worker: claims the deliveries of each hosted service, applies them, says that they are done; and
runs the services' timers.

One thread per service (and one for its timers), so that a service whose database is down delays no other. The service's
transaction (inbox rows and effects) commits before the deliveries end; a crash in between brings them again, and the
inbox skips them.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol

import psycopg
from django.db import connections
from psycopg.rows import dict_row

from transactional.contracts.failpoints import reach
from transactional.kernel.inbox import MAX_EVENTS, InboundEvent, apply_events
from transactional.kernel.timers import Clock, timers_of

FAILPOINTS: Final = (
    "jobs.claimed",
    "inbox.before_commit",
    "inbox.after_commit",
    "jobs.applied",
    "jobs.failed",
    "jobs.done",
)
"""Every place of the worker's round where it may die; the inbox's two stand in ``transactional.kernel.inbox``."""

LEASE: Final = 300
"""Seconds for which a worker that hangs keeps its service's deliveries from another; a dead one keeps none. Half of it
is left at a claim in any case, and must last for the two statement time-outs of a round with an event that is too
slow."""

POLL: Final = 2.0
"""Seconds after which a worker looks for deliveries although nobody woke it: retries fall due silently."""

LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries, at most, while a database is down."""

CLAIM: Final = """
select event_id as id, type, schema_version, aggregate_type, aggregate_id, aggregate_version, payload, occurred_at,
  causation_id, correlation_id, actor_id, traceparent
from stream.claim(%s, %s, %s)
"""

# A delivery whose end was lost in a crash of the server comes again and is skipped: no need to wait for its disk.
SESSION_OPTIONS: Final = "-c synchronous_commit=off -c timezone=UTC"

log = logging.getLogger(__name__)


class Monitor(Protocol):
    """Where the worker says how it fares; ``error`` returns whether that is news, ``part`` is a service."""

    def beat(self) -> None: ...

    def progress(self, **counted: int) -> None: ...

    def error(self, message: str | None, part: str = "") -> bool: ...


class Subscriber:
    """One service's deliveries. ``stream_dsn`` logs in to the stream database as ``hw_<service>``."""

    def __init__(self, service: str, stream_dsn: str, monitor: Monitor) -> None:
        self._service = service
        self._stream_dsn = stream_dsn
        self._monitor = monitor

    def run(self, stop: threading.Event) -> None:
        """Works until ``stop``. Whatever goes wrong is named, and tried again after a pause."""
        failures = 0
        while not stop.is_set():
            try:
                with self._connect() as stream:
                    stream.execute(f'listen "hw_delivery_{self._service}"'.encode())
                    while not stop.is_set():
                        if self._round(stream):
                            failures = 0
                        else:
                            self._wait(stream, stop)
            except Exception as error:
                # The events wait as deliveries. A connection of either database may be the broken one.
                connections[self._service].close()
                self._report(f"{self._service}: {type(error).__name__}: {error}".strip(), error)
                stop.wait(min(LONGEST_PAUSE, 0.1 * 2.0**failures) * random.uniform(0.8, 1.2))
                failures = min(failures + 1, 10)
        connections[self._service].close()

    def _round(self, stream: psycopg.Connection[Mapping[str, Any]]) -> bool:
        """Claims once and applies what came; whether there was anything."""
        claimed = stream.execute(CLAIM, [self._service, MAX_EVENTS, LEASE]).fetchall()
        self._monitor.beat()
        if not claimed:
            self._report(None)
            return False
        reach("jobs.claimed")
        verdicts = apply_events(self._service, [InboundEvent(**row) for row in claimed])
        reach("jobs.applied")
        failed = [verdict for verdict in verdicts if verdict.status == "failed"]
        for verdict in failed:
            outcome = stream.execute(
                "select stream.fail(%s, %s, %s) as outcome", [self._service, verdict.event_id, verdict.error]
            ).fetchone()
            log.error(
                "%s: event %s: %s (%s)", self._service, verdict.event_id, verdict.error, outcome and outcome["outcome"]
            )
        reach("jobs.failed")
        ended = [verdict.event_id for verdict in verdicts if verdict.status in ("applied", "duplicate", "ignored")]
        if ended:
            stream.execute("select stream.done(%s, %s)", [self._service, ended])
        reach("jobs.done")
        self._report(None)
        self._monitor.progress(events=len(ended), failures=len(failed))
        return True

    def _wait(self, stream: psycopg.Connection[Mapping[str, Any]], stop: threading.Event) -> None:
        """Until deliveries were announced, a poll is due, or (looked at every second) ``stop`` is set."""
        waited = 0.0
        while waited < POLL and not stop.is_set():
            for _ in stream.notifies(timeout=1.0, stop_after=1):
                return
            waited += 1.0
            self._monitor.beat()

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(
            self._stream_dsn,
            autocommit=True,
            row_factory=dict_row,
            options=SESSION_OPTIONS,
            fallback_application_name=f"headwater jobs {self._service}",
        )

    def _report(self, problem: str | None, error: Exception | None = None) -> None:
        if self._monitor.error(problem, self._service):
            if problem is None:
                log.info("events of %s are applied again", self._service)
            else:
                log.error("%s", problem, exc_info=error)


def run(stream_dsns: Mapping[str, str], monitor: Monitor, stop: threading.Event) -> None:
    """Applies the deliveries of every service in ``stream_dsns`` (service name → its login), and runs its timers, until
    ``stop``."""
    threads = [
        threading.Thread(target=Subscriber(service, dsn, monitor).run, args=[stop], name=f"jobs-{service}")
        for service, dsn in stream_dsns.items()
    ]
    threads += [
        threading.Thread(target=Clock(service, monitor).run, args=[stop], name=f"timers-{service}")
        for service in stream_dsns
        if timers_of(service)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
