"""The dispatch worker in a thread of the test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cdc.sources.port import Source
from cdc.sources.reader import Limits
from pipelines.dispatch.worker import run
from pipelines.runtime import Heartbeat
from tests.pipelines.dispatch.source_database import SourceDatabase
from tests.pipelines.dispatch.stream_database import StreamDatabase


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until ``check`` holds; fails the test if it does not in ``seconds``."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class DispatchThread:
    def __init__(self, source: SourceDatabase, stream: StreamDatabase, directory: Path, **limits: Any) -> None:
        reader = source.source(directory, limits=Limits(idle_seconds=0.2, **limits), slot_timeout=1)
        self._start([reader], stream, directory)

    @classmethod
    def of(cls, sources: Sequence[Source], stream: StreamDatabase, directory: Path) -> DispatchThread:
        """Dispatch of sources made elsewhere."""
        worker = cls.__new__(cls)
        worker._start(sources, stream, directory)
        return worker

    def _start(self, sources: Sequence[Source], stream: StreamDatabase, directory: Path) -> None:
        self._heartbeat = directory / "dispatch.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=run,
            args=[
                sources,
                stream.dsn("hw_dispatch"),
                Heartbeat(self._heartbeat, "dispatch", every=0),
                self._stop,
            ],
        )
        self._thread.start()

    @property
    def heartbeat(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._heartbeat.read_text())
        return found

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
