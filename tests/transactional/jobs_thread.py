"""The jobs worker in a thread of the test, and what it says about itself; or in a process that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.pipelines.dispatch.stream_database import StreamDatabase
from tests.world import World
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


def kill_at(world: World, stream: StreamDatabase, service: str, failpoint: str, directory: Path) -> None:
    """Runs a jobs process of ``service`` until it dies at the fail-point; what it leaves is in ``directory``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.transactional.jobs_process"],
        stdin=subprocess.PIPE,
        env=os.environ | {"HEADWATER_FAILPOINT": failpoint, "TMPDIR": str(directory)},
        text=True,
    )
    given = {
        "stream_dsns": {service: stream.dsn(f"hw_{service}")},
        "port": world.cluster.port,
        "database": world.database,
        "passwords": world.config.passwords,
    }
    try:
        process.communicate(json.dumps(given), timeout=60)
        assert process.returncode == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
