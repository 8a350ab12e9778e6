"""Who dies, where and when: fail-points armed one after the other, then processes killed at random."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from headwater import proc, workers
from headwater.dagster.processes import PARTS
from headwater.state import read_json
from tests.dagster import Dagster
from tests.stack import Stack, eventually

WORKERS = ("web", *workers.WORKERS)
"""Whatever ``headwater work`` can run is killed, a new worker too; its points and what it reads are verified."""

CLUSTERS = ("oltp", "warehouse")


def part(name: str) -> str:
    """What a process within Dagster is called here: its keeper starts it again, not the supervisor."""
    return f"dagster's {name}"


DAGSTER = ("dagster", *map(part, PARTS))
START_TIMEOUT = 180.0
"""Seconds for anything that was killed to run again: Dagster imports for long, at a low priority."""

POINT_TIMEOUT = 90.0
"""Seconds in which ordinary load passes any point, restarts of whatever died before included."""

COMMANDS = "command."
"""Points in the kernel that both web and jobs pass; the storm insists on web, jobs has points of its own."""


@dataclass
class Killer:
    """Counts what it killed: ``points`` by fail-point, ``processes`` by name."""

    stack: Stack
    armed: Path
    random: random.Random
    points: Counter[str] = field(default_factory=Counter)
    processes: Counter[str] = field(default_factory=Counter)
    load: Callable[[], str] = lambda: "no load"

    def at_point(self, point: str) -> None:
        """Arms a point that the load passes, and waits until a process died there."""
        while True:
            before = eventually(self.everybody, 60, "everybody runs")
            self.arm(point)
            self.await_passage(point)
            name = eventually(lambda before=before: self.changed(before), 30, f"somebody died at {point}")
            self.points[f"{point} ({name})"] += 1
            self.recover()
            if name == "web" or not point.startswith(COMMANDS):
                return

    def await_passage(self, point: str) -> None:
        """Until a process died at the point; where none does, says what every process and the load are doing."""
        deadline = time.monotonic() + POINT_TIMEOUT
        while (self.armed / point).exists():
            if time.monotonic() > deadline:
                beats = {name: read_json(self.stack.home.heartbeat(name)) for name in WORKERS}
                told = "\n".join(f"  {name}: {beat.get('error') or beat}" for name, beat in beats.items())
                raise AssertionError(f"no process passed {point} in {POINT_TIMEOUT:.0f} s; {self.load()}\n{told}")
            time.sleep(0.05)

    def everybody(self) -> dict[str, int] | None:
        """The process ids of all workers and clusters; None while one is down."""
        found = {name: self.stack.pid(name) for name in (*WORKERS, *CLUSTERS)}
        return {name: pid for name, pid in found.items() if pid} if all(found.values()) else None

    def changed(self, before: dict[str, int]) -> str | None:
        """A process that is not the one it was."""
        return next((name for name, pid in before.items() if self.stack.pid(name) != pid), None)

    def arm(self, point: str) -> None:
        (self.armed / point).touch()

    def at_start(self, point: str) -> None:
        """Kills the supervisor, has the next one die at ``point`` of its start, and starts a third."""
        self.kill("supervisor")
        self.arm(point)
        self.try_up(point)
        self.up()

    def try_up(self, point: str) -> None:
        self.stack.run("up", "--detach", "--no-demo", check=False)
        eventually(lambda: not (self.armed / point).exists(), POINT_TIMEOUT, f"the supervisor did not pass {point}")
        self.points[f"{point} (supervisor)"] += 1

    def at_first_start(self, point: str) -> None:
        """Has the first start of all die at ``point``."""
        self.arm(point)
        self.try_up(point)

    def at_stop(self, point: str) -> None:
        """Has the supervisor die while it stops the others."""
        self.arm(point)
        self.stack.run("down", check=False)
        eventually(lambda: not (self.armed / point).exists(), POINT_TIMEOUT, f"the supervisor did not pass {point}")
        self.points[f"{point} (supervisor)"] += 1
        self.up()

    def at_random(self) -> str:
        """SIGKILL to one process: a worker, a server's postmaster, one of its backends, one of Dagster's, or the
        supervisor."""
        backends = (f"backend of {cluster}" for cluster in CLUSTERS)
        dagster = self.random.choice(DAGSTER)
        name = self.random.choice((*WORKERS, *WORKERS, *CLUSTERS, *backends, dagster, "supervisor"))
        self.kill(name)
        if name == "supervisor":
            self.up()
        else:
            self.recover()
        return name

    def kill(self, name: str) -> None:
        pid = self.supervised(name.removeprefix("backend of "))
        if name.startswith("backend of "):
            children = [found.pid for found in proc.tree(pid) if found.pid != pid]
            pid = self.random.choice(children) if children else pid
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        eventually(lambda: not proc.alive(pid), 10, f"{name} ({pid}) did not die")
        self.processes[name] += 1

    def keep_dead(self, name: str, until: Callable[[], object], timeout: float, what: str) -> None:
        """Kills the process, and again whenever it comes back, until ``until()``."""
        self.kill(name)

        def reached() -> object:
            if (pid := self.pid(name)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return until()

        eventually(reached, timeout, what)

    def supervised(self, name: str) -> int:
        return int(eventually(lambda: self.pid(name), START_TIMEOUT, f"{name} does not come back"))

    def pid(self, name: str) -> int | None:
        """The process as of now; None while it is down."""
        if name == "supervisor":
            return self.stack.supervisor()
        _, within, of_dagster = name.partition("dagster's ")
        return Dagster(self.stack).part(of_dagster) if within else self.stack.pid(name)

    def recover(self) -> None:
        """The supervisor's back-off is for programs that fail by themselves; here it would only take time."""
        supervisor = self.stack.supervisor()
        if supervisor is not None:
            os.kill(supervisor, signal.SIGUSR1)

    def up(self) -> None:
        self.stack.run("up", "--detach", "--no-demo")

    @property
    def total(self) -> int:
        return sum(self.points.values()) + sum(self.processes.values())
