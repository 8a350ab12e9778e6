"""What every resident worker shares: a heartbeat file, stopping on a signal, waiting longer after each failure."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any


class Stop(threading.Event):
    """Set when this process should end. Everything that waits, waits on it."""

    def on_signals(self) -> Stop:
        """SIGTERM and SIGINT set it. Call from the main thread."""

        def handle(_signum: int, _frame: FrameType | None) -> None:
            # A handler runs in the main thread, wherever that is: within ``wait`` it may hold the lock that ``set``
            # takes, and would wait for itself.
            threading.Thread(target=self.set, daemon=True).start()

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)
        return self


def collect_rarely() -> None:
    """Lets the cycle collector look after 200,000 new objects instead of 700.

    A batch is some hundred thousand lists and tuples, none of them in a cycle, and all are looked at again and again:
    it took 20 % of landing's CPU in a snapshot (2.6 s against 2.0 s for 200,000 rows).
    """
    gc.set_threshold(200_000, 20, 100)


def run_each(parts: Mapping[str, Callable[[], None]], stop: threading.Event) -> None:
    """Runs every part in a thread of its name until all have ended; each ends by itself once ``stop`` is set.

    An error that a part does not deal with sets ``stop`` and is raised here, so that the process ends and is restarted.
    """
    failures: list[BaseException] = []

    def guarded(part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as failure:
            failures.append(failure)
            stop.set()

    threads = [threading.Thread(target=guarded, args=[part], name=name) for name, part in parts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class BackOff:
    """Waits 0.1 s after the first failure in a row, twice as long after each next one, at most ``longest`` seconds."""

    def __init__(self, *, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def wait(self, stop: threading.Event) -> None:
        """Returns early when ``stop`` is set. Varies by a fifth, so that workers do not return all at once."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 20))
        self._failures += 1
        stop.wait(delay * random.uniform(0.8, 1.2))


class Heartbeat:
    """A worker's state as a JSON file that ``status`` reads: replaced as a whole, at most once a second unless forced.

    Keys: ``name pid since beat_at progress_at counters error`` and whatever ``detail`` the worker adds; times are
    ISO 8601 in UTC, ``error`` is null when the worker is well. Safe for several threads. A file that cannot be written
    (a full disk) goes stale, which readers see; the work that it tells of goes on.
    """

    def __init__(self, path: Path, name: str, *, every: float = 1.0) -> None:
        self.name = name
        self._path = path
        self._every = every
        self._lock = threading.Lock()
        self._written = 0.0
        self._errors: dict[str, str] = {}
        self._state: dict[str, Any] = {
            "name": name,
            "pid": os.getpid(),
            "since": _now(),
            "beat_at": _now(),
            "progress_at": None,
            "counters": {},
            "error": None,
            "detail": {},
        }
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.beat(force=True)

    def beat(self, *, force: bool = False) -> None:
        """Says that the worker lives."""
        with self._lock:
            now = time.monotonic()
            if not force and now - self._written < self._every:
                return
            self._written = now
            self._state["beat_at"] = _now()
            partial = self._path.with_suffix(".partial")
            with suppress(OSError):
                partial.write_text(json.dumps(self._state))
                partial.replace(self._path)

    def progress(self, **counted: int) -> None:
        """Adds to the counters and notes that work was done."""
        with self._lock:
            counters = self._state["counters"]
            for name, number in counted.items():
                counters[name] = counters.get(name, 0) + number
            self._state["progress_at"] = _now()
        self.beat()

    def counted(self) -> dict[str, int]:
        """The counters as of now."""
        with self._lock:
            return dict(self._state["counters"])

    def error(self, message: str | None, part: str = "") -> bool:
        """The last error, or None once the worker is well again; whether that is news, which is written at once.

        A worker of several parts (sources, services) has one for each; the file shows those that are set, a line each.
        """
        with self._lock:
            changed = self._errors.get(part) != message
            if message is None:
                self._errors.pop(part, None)
            else:
                self._errors[part] = message
            self._state["error"] = "\n".join(self._errors.values()) or None
        self.beat(force=changed)
        return changed

    def detail(self, name: str, value: object) -> None:
        """Something of the worker's own, such as the state of one source. Written at once when it changes."""
        with self._lock:
            changed = self._state["detail"].get(name) != value
            self._state["detail"][name] = value
        self.beat(force=changed)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
