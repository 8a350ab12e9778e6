"""A circuit breaker: a service that fails again and again is not asked for a while, and then by one caller first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Open(Exception):
    """Nothing is let through at the moment; ``seconds`` until it may be."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"open for another {seconds:.1f} s")
        self.seconds = seconds


class Breaker:
    """Of one service, shared by the threads of a process.

    Closed until ``failures`` attempts in a row have failed, then open for ``rest`` seconds, then half open: the next
    caller is let through alone. Its success closes the breaker, its failure opens it again.
    """

    def __init__(self, failures: int, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures, self._rest, self._clock = failures, rest, clock
        self._lock = threading.Lock()
        self._state = State.CLOSED
        self._failed = 0
        self._until = 0.0
        self._era = 0

    @property
    def state(self) -> State:
        return self._state

    def admit(self) -> int:
        """A ticket for one attempt, to be handed back with what came of it. Raises Open."""
        with self._lock:
            if self._state is State.HALF_OPEN:
                raise Open(self._rest)
            if self._state is State.OPEN:
                left = self._until - self._clock()
                if left > 0:
                    raise Open(left)
                self._turn(State.HALF_OPEN)
            return self._era

    def settle(self, ticket: int, *, succeeded: bool) -> None:
        """What came of an attempt. One that began before the breaker last turned says nothing about now."""
        with self._lock:
            if ticket != self._era:
                return
            if succeeded:
                self._failed = 0
                if self._state is State.HALF_OPEN:
                    self._turn(State.CLOSED)
                return
            self._failed += 1
            if self._state is State.HALF_OPEN or self._failed >= self._failures:
                self._until = self._clock() + self._rest
                self._turn(State.OPEN)

    def _turn(self, state: State) -> None:
        self._state = state
        self._era += 1
        self._failed = 0
