"""What Linux tells about processes: which belong to an installation, what memory they take, when they began."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "HEADWATER_SUPERVISED"
"""Environment variable that every process of an installation carries; its value is the home's path."""

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """``cpu`` is user and system time in seconds, ``cpu_of_ended`` that of children it waited for; ``started`` is
    seconds since boot."""

    pid: int
    state: str
    parent: int
    session: int
    cpu: float
    cpu_of_ended: float
    started: float


def stat(pid: int) -> Stat | None:
    """None if the process does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu=(int(fields[11]) + int(fields[12])) / TICK,
        cpu_of_ended=(int(fields[13]) + int(fields[14])) / TICK,
        started=int(fields[19]) / TICK,
    )


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie, which some containers reap late, does not."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def uptime(pid: int) -> float | None:
    """Seconds since the process began."""
    found = stat(pid)
    if found is None:
        return None
    return float(Path("/proc/uptime").read_text().split()[0]) - found.started


def pids() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def everybody() -> list[Stat]:
    """Every living process of the machine."""
    return [found for pid in pids() if (found := stat(pid)) and found.state not in "ZX"]


def tree(root: int, among: list[Stat] | None = None) -> list[Stat]:
    """The process and all its living descendants, among ``everybody`` of a moment ago if given."""
    everyone = everybody() if among is None else among
    wanted = {root}
    while True:
        more = {found.pid for found in everyone if found.parent in wanted} - wanted
        if not more:
            return [found for found in everyone if found.pid in wanted]
        wanted |= more


def pss(pid: int) -> int | None:
    """Proportional set size in bytes: private memory plus this process's share of what it shares.

    None where the kernel does not let us look (another user's process) or the process is gone.
    """
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def marked(home: Path) -> list[int]:
    """Processes of the installation at ``home`` that survive somewhere, except this one and its ancestors.

    PostgreSQL overwrites its environment in memory; ``working_in`` finds its processes.
    """
    wanted = f"{MARK}={home}".encode()
    own = set(ancestors(os.getpid()))
    found = []
    for pid in pids():
        if pid in own:
            continue
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0") and alive(pid):
            found.append(pid)
    return found


def ancestors(pid: int) -> Iterator[int]:
    """The process itself, its parent, and so on."""
    while pid > 0:
        yield pid
        found = stat(pid)
        if found is None:
            return
        pid = found.parent


def working_in(directory: Path) -> list[int]:
    """Processes whose working directory is ``directory``: a server's postmaster and every backend of it."""
    wanted = str(directory.resolve())
    found = []
    for pid in pids():
        try:
            if os.readlink(f"/proc/{pid}/cwd") == wanted and alive(pid):
                found.append(pid)
        except OSError:
            continue
    return found


def end(processes: Iterable[int], how: signal.Signals, timeout: float) -> list[int]:
    """Signals the processes and waits; returns those that still run after ``timeout`` seconds.

    A process that somebody stopped (Ctrl-Z, a debugger) is let go on, or it would not hear.
    """
    waiting = list(processes)
    for pid in waiting:
        try:
            os.kill(pid, how)
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue
    gone(lambda: [pid for pid in waiting if alive(pid)], timeout)
    return [pid for pid in waiting if alive(pid)]


def gone(find: Callable[[], list[int]], timeout: float) -> bool:
    """Waits until ``find`` finds no process; False if it still does after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while find():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
