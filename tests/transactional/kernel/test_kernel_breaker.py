"""The circuit breaker by itself, with a clock of the test's own."""

from __future__ import annotations

import pytest

from transactional.kernel.breaker import Breaker, Open, State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(3, 5.0, clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.settle(breaker.admit(), succeeded=False)


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.settle(breaker.admit(), succeeded=True)
    fail(breaker, 2)
    assert breaker.state is State.CLOSED, "a success between begins the count anew"
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    with pytest.raises(Open) as refused:
        breaker.admit()
    assert refused.value.seconds == 5.0


def test_one_caller_probes_and_the_others_wait(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5.0
    probe = breaker.admit()
    assert breaker.state is State.HALF_OPEN
    with pytest.raises(Open):
        breaker.admit()
    breaker.settle(probe, succeeded=True)
    assert breaker.state is State.CLOSED
    breaker.admit()


def test_a_failed_probe_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5.0
    breaker.settle(breaker.admit(), succeeded=False)
    assert breaker.state is State.OPEN
    clock.now += 4.9
    with pytest.raises(Open):
        breaker.admit()


def test_what_began_before_it_opened_says_nothing_about_now(breaker: Breaker, clock: Clock) -> None:
    late = breaker.admit()
    fail(breaker, 3)
    breaker.settle(late, succeeded=True)
    assert breaker.state is State.OPEN
    clock.now += 5.0
    breaker.admit()
    breaker.settle(late, succeeded=False)
    assert breaker.state is State.HALF_OPEN
