"""Locks between processes that the kernel drops when their holder dies, so none is ever stale."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

LOOKING: Final = 0.25
"""Seconds that ``acquire`` tries for: whoever asks who the holder is has the lock for a moment."""


class Lock:
    """``supervisor`` in a home's ``run`` directory: one supervisor a home. Other names: see ``hold``."""

    def __init__(self, run: Path, name: str = "supervisor") -> None:
        self.path = run / f"{name}.lock"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """True if this process now holds the lock; its process id then stands in the file."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOOKING
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.01)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """The process that holds the lock; None if nobody does."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            content = os.pread(descriptor, 20, 0)
            return int(content) if content.isdigit() else None
        finally:
            os.close(descriptor)
        return None
