"""Reading ahead changes when things are read, never what comes out."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from pipelines.landing.read_ahead import read_ahead

DEADLINE = 10.0


class Source:
    """Numbers, and what was asked of it."""

    def __init__(self, count: int, *, fails_after: int | None = None) -> None:
        self.count = count
        self.fails_after = fails_after
        self.read = 0
        self.moved = threading.Condition()
        self.closed_in: str | None = None

    def items(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                if number == self.fails_after:
                    raise ConnectionError("the source went away")
                with self.moved:
                    self.read = number + 1
                    self.moved.notify_all()
                yield number
        finally:
            self.closed_in = threading.current_thread().name

    def has_read(self, count: int) -> bool:
        with self.moved:
            return self.moved.wait_for(lambda: self.read >= count, DEADLINE)


def test_everything_comes_in_order() -> None:
    assert list(read_ahead(Source(1000).items())) == list(range(1000))


def test_the_next_item_is_read_while_one_is_worked_on_and_no_more() -> None:
    source = Source(10)
    with closing(read_ahead(source.items())) as items:
        assert next(items) == 0
        assert source.has_read(2)
        assert source.read == 2
        assert next(items) == 1
        assert source.has_read(3)


def test_a_failure_comes_after_what_was_read_before_it() -> None:
    source = Source(10, fails_after=3)
    came: list[int] = []
    with pytest.raises(ConnectionError, match="the source went away"):
        came.extend(read_ahead(source.items()))
    assert came == [0, 1, 2]
    assert source.closed_in == "read-ahead"


def test_whoever_leaves_early_finds_the_source_closed() -> None:
    source = Source(10)
    with closing(read_ahead(source.items())) as items:
        next(items)
    assert source.closed_in == "read-ahead"
    assert source.read <= 2
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
