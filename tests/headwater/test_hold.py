"""A worker that a command holds stands still until the command lets go, also where one hold follows another at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from headwater.state import Home, read_json
from headwater.supervisor import run
from headwater.supervisor.child import Child, Spec
from headwater.supervisor.hold import lock_of
from headwater.supervisor.lock import Lock
from headwater.supervisor.run import Supervisor


class Sample(Supervisor):
    """Supervises one process, ``sample``, in this one; ``then`` happens as it has reported."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        environment = dict(os.environ)
        argv = [sys.executable, "-c", "import time; time.sleep(60)"]
        spec = Spec(name="sample", argv=argv, log=home.root / "log", environment=environment, directory=home.root)
        self.sample = self.children["sample"] = Child(spec)
        self.then: Callable[[], object] = bool
        self.sample.start()
        self._report("running")

    def _report(self, state: str | None = None, stage: str | None = None) -> None:
        super()._report(state, stage)
        self.then()

    def look(self) -> None:
        self._tend()


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sample]:
    monkeypatch.setattr(run, "Signals", Mock)  # this process keeps its own
    home = Home(tmp_path)
    home.run.mkdir()
    sample = Sample(home)
    yield sample
    sample.then = bool
    sample.sample.stop()


def reported(home: Home) -> str:
    return str(read_json(home.supervisor)["processes"]["sample"]["state"])


def test_a_worker_stands_still_as_long_as_it_is_held(supervisor: Sample) -> None:
    hold = lock_of(supervisor.home, "sample")
    assert hold.acquire()
    supervisor.look()
    assert (supervisor.sample.pid, reported(supervisor.home)) == (None, "held")
    supervisor.look()
    assert supervisor.sample.pid is None
    hold.release()
    supervisor.look()
    assert supervisor.sample.pid is not None
    assert reported(supervisor.home) == "running"


def test_nobody_reads_that_a_worker_stands_still_which_is_being_started(
    supervisor: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = lock_of(supervisor.home, "sample")
    assert hold.acquire()
    supervisor.look()
    hold.release()
    read: list[str] = []
    start = Child.start

    def note(child: Child) -> None:
        read.append(reported(supervisor.home))
        start(child)

    monkeypatch.setattr(Child, "start", note)
    supervisor.look()
    assert read == ["stopped"]
    assert supervisor.sample.pid is not None


def test_who_takes_a_worker_as_it_is_let_go_has_it(supervisor: Sample) -> None:
    first, second = (lock_of(supervisor.home, "sample") for _ in range(2))
    assert first.acquire()
    supervisor.look()
    first.release()
    supervisor.then = second.acquire
    supervisor.look()
    assert (supervisor.sample.pid, reported(supervisor.home)) == (None, "held")


def test_who_asks_for_the_holder_does_not_keep_the_lock_from_one_who_takes_it(tmp_path: Path) -> None:
    lock, looks = Lock(tmp_path), Lock(tmp_path)
    assert lock.acquire()
    lock.release()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            looks.holder()

    looking = [threading.Thread(target=look) for _ in range(4)]
    for thread in looking:
        thread.start()
    try:
        for _ in range(200):
            assert lock.acquire()
            lock.release()
    finally:
        done.set()
        for thread in looking:
            thread.join()
    assert lock.acquire()
    assert not looks.acquire(), "one who has it does"
    lock.release()
