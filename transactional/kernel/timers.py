"""What a service does because it is time: each timer runs once a period, however many workers look at the clock.

A timer's row is locked, its command run and the row moved on in one transaction, so a worker that dies leaves the
period as if it had not begun. Periods are counted from 1970-01-01 00:00 UTC by the database's clock. Those that passed
while no worker ran are not made up for one by one: the first that was missed is run, and the next one due lies ahead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from django.apps import apps
from django.db import connections, transaction

from policy.principal import TIMER
from transactional.contracts import failpoints
from transactional.kernel.context import Context
from transactional.kernel.execution import Answer, run
from transactional.kernel.registry import RegistryError, command_named

FAILPOINTS: Final = ("timers.before_commit", "timers.after_commit")

LONGEST_WAIT: Final = 30.0
"""Seconds between two looks at a timer, at most: a clock may be set, a row restored."""

SHORTEST_WAIT: Final = 1.0
"""Seconds until a timer is looked at again whose row another worker has locked, or that failed for the first time."""

LONGEST_PAUSE: Final = 300.0
"""Seconds between two tries, at most, of a timer that fails. The pause doubles from ``SHORTEST_WAIT``."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """One run. ``period`` is the moment at which it fell due; ``part`` counts the runs of this period from 0.
    ``last_run_at`` is when the period before was completed, None if none ever was."""

    timer: str
    period: datetime
    last_run_at: datetime | None
    part: int


TimerFunction = Callable[[Due], bool]
"""Whether something is left: it is then called again in a transaction of its own, as the next part of the period."""


@dataclass(frozen=True)
class Timer:
    """``name`` is ``<service>.<function>``; ``every`` is the length of a period."""

    name: str
    service: str
    every: timedelta
    function: TimerFunction


class Monitor(Protocol):
    """Where timers say how they fare; ``error`` returns whether that is news, ``part`` is a timer."""

    def progress(self, **counted: int) -> None: ...

    def error(self, message: str | None, part: str = "") -> bool: ...


_timers: dict[str, Timer] = {}
_running: ContextVar[Timer | None] = ContextVar("running_timer", default=None)


def every(seconds: int) -> Callable[[TimerFunction], TimerFunction]:
    """Declares a timer of the service whose ``timers`` module this stands in, due every ``seconds``."""

    def declare(function: TimerFunction) -> TimerFunction:
        config = apps.get_containing_app_config(function.__module__)
        if config is None:
            raise RegistryError(f"{function.__module__}.{function.__name__} stands outside of every hosted service.")
        add_timer(Timer(f"{config.label}.{function.__name__}", config.label, timedelta(seconds=seconds), function))
        return function

    return declare


def daily(function: TimerFunction) -> TimerFunction:
    """Declares a timer that is due at midnight, UTC."""
    return every(24 * 60 * 60)(function)


def add_timer(timer: Timer) -> None:
    """Registers a timer that was built by hand; ``daily`` and ``every`` are the usual ways."""
    if timer.name in _timers:
        raise RegistryError(f"Timer {timer.name} is declared twice.")
    if timer.every < timedelta(seconds=1):
        raise RegistryError(f"Timer {timer.name} is due every {timer.every}; a second is the shortest period.")
    _timers[timer.name] = timer


def timers_of(service: str) -> list[Timer]:
    return [timer for timer in _timers.values() if timer.service == service]


def run_command_for_timer(due: Due, name: str, payload: Mapping[str, Any]) -> Answer:
    """Runs a command of the timer's own service, in the transaction that moves the timer on.

    The idempotency key names the timer, its period and the part of it.
    """
    timer = _running.get()
    spec = command_named(name)
    if timer is None or spec.service != timer.service:
        raise RegistryError(f"Timer {due.timer} may not run {name}: it calls commands of its own service.")
    part = f":{due.part}" if due.part else ""
    ctx = Context(
        actor=TIMER,
        idempotency_key=f"timer:{due.timer}:{due.period:%Y-%m-%dT%H:%M:%SZ}{part}",
        reason=f"{due.timer} was due at {due.period:%Y-%m-%d %H:%M:%S} UTC",
    )
    return run(spec, payload, ctx, nested=True)


def run_if_due(timer: Timer) -> float | None:
    """Runs the timer, or a part of it, if it is due and no other worker has it in hand.

    Returns None if it ran (there may be more to do), else the seconds until it should be looked at again.
    """
    with transaction.atomic(using=timer.service, durable=True), connections[timer.service].cursor() as cursor:
        cursor.execute(
            "select due_at, last_run_at, part, now() from timer where name = %s for update skip locked", [timer.name]
        )
        row = cursor.fetchone()
        if row is not None:
            due_at, last_run_at, part, moment = row
            if due_at > moment:
                return float((due_at - moment).total_seconds())
            if _run(timer, Due(timer.name, due_at, last_run_at, part)):
                cursor.execute("update timer set part = part + 1 where name = %s", [timer.name])
            else:
                cursor.execute(
                    "update timer set due_at = %s, last_run_at = %s, part = 0 where name = %s",
                    [_period_of(timer, moment) + timer.every, moment, timer.name],
                )
            failpoints.reach("timers.before_commit")
    if row is not None:
        failpoints.reach("timers.after_commit")
        return None
    return 0.0 if _make(timer) else SHORTEST_WAIT


def _run(timer: Timer, due: Due) -> bool:
    token = _running.set(timer)
    try:
        return timer.function(due)
    finally:
        _running.reset(token)


def _make(timer: Timer) -> bool:
    """The row of a timer that has none, due since its present period began. False if it has one, which is locked."""
    with connections[timer.service].cursor() as cursor:
        cursor.execute("select now()")
        (moment,) = cursor.fetchone()
        cursor.execute(
            "insert into timer (name, due_at, part) values (%s, %s, 0) on conflict do nothing",
            [timer.name, _period_of(timer, moment)],
        )
        return bool(cursor.rowcount)


def _period_of(timer: Timer, moment: datetime) -> datetime:
    return _EPOCH + (moment - _EPOCH) // timer.every * timer.every


class Clock:
    """Runs one service's timers when they are due; a failing one delays no other."""

    def __init__(self, service: str, monitor: Monitor) -> None:
        self._service = service
        self._monitor = monitor
        self._timers = timers_of(service)
        self._look_at = {timer.name: 0.0 for timer in self._timers}
        self._failures = {timer.name: 0 for timer in self._timers}

    def run(self, stop: threading.Event) -> None:
        """Works until ``stop``. Whatever goes wrong is named, and tried again after a pause."""
        while self._timers and not stop.is_set():
            for timer in self._timers:
                if time.monotonic() >= self._look_at[timer.name] and not stop.is_set():
                    self._look_at[timer.name] = time.monotonic() + self._look(timer)
            stop.wait(max(0.0, min(self._look_at.values()) - time.monotonic()))
        connections[self._service].close()

    def _look(self, timer: Timer) -> float:
        """Seconds until the timer is looked at again."""
        try:
            wait = run_if_due(timer)
        except Exception as error:
            connections[self._service].close()  # it may be what is broken
            self._report(timer, f"{timer.name}: {type(error).__name__}: {error}".strip(), error)
            pause = min(LONGEST_PAUSE, SHORTEST_WAIT * 2.0 ** self._failures[timer.name])
            self._failures[timer.name] = min(self._failures[timer.name] + 1, 10)
            return pause
        if wait is None:
            self._monitor.progress(timers=1)
            self._failures[timer.name] = 0
            self._report(timer, None)
            return 0.0
        return min(LONGEST_WAIT, wait)

    def _report(self, timer: Timer, problem: str | None, error: Exception | None = None) -> None:
        if self._monitor.error(problem, timer.name):
            if problem is None:
                log.info("timer %s runs again", timer.name)
            else:
                log.error("%s", problem, exc_info=error)
