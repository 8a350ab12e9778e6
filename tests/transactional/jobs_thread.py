"""The jobs worker in a thread of the test, and what it says about itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from transactional.kernel import jobs


class Watch:
    """A monitor that remembers: counters, and the error of each service."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}
        self.counters: dict[str, int] = {}
        self._lock = threading.Lock()

    def beat(self) -> None:
        pass

    def progress(self, **counted: int) -> None:
        with self._lock:
            for name, number in counted.items():
                self.counters[name] = self.counters.get(name, 0) + number

    def error(self, message: str | None, part: str = "") -> bool:
        with self._lock:
            changed = self.errors.get(part) != message
            if message is None:
                self.errors.pop(part, None)
            else:
                self.errors[part] = message
            return changed


class JobsThread:
    def __init__(self, stream_dsns: Mapping[str, str]) -> None:
        self.watch = Watch()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=jobs.run, args=[stream_dsns, self.watch, self._stop])
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
