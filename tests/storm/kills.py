"""Who dies, where and when: fail-points armed one after the other, then processes killed at random."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headwater import proc
from tests.stack import Stack, eventually

WORKERS = ("web", "landing", "dispatch", "jobs", "refresh")
CLUSTERS = ("oltp", "warehouse")
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

    def at_point(self, point: str) -> None:
        """Arms a point that the load passes, and waits until a process died there."""
        while True:
            before = eventually(self.everybody, 60, "everybody runs")
            self.arm(point)
            eventually(lambda: not (self.armed / point).exists(), POINT_TIMEOUT, f"no process passed {point}")
            name = eventually(lambda before=before: self.changed(before), 30, f"somebody died at {point}")
            self.points[f"{point} ({name})"] += 1
            self.recover()
            if name == "web" or not point.startswith(COMMANDS):
                return

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
        """SIGKILL to one process: a worker, a server's postmaster, one of its backends, or the supervisor."""
        name = self.random.choice((*WORKERS, *WORKERS, *CLUSTERS, *(f"backend of {c}" for c in CLUSTERS), "supervisor"))
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

    def supervised(self, name: str) -> int:
        find: Callable[[], int | None] = self.stack.supervisor if name == "supervisor" else lambda: self.stack.pid(name)
        return int(eventually(find, 60, f"{name} does not come back"))

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
