"""Signals as flags and as an end to waiting, so that an idle supervisor costs nothing and misses nothing."""

from __future__ import annotations

import select
import signal
import socket


class Signals:
    """SIGTERM, SIGINT, SIGHUP: ``stop``. SIGUSR1: ``hurry`` (forget back-offs). SIGCHLD ends a wait."""

    def __init__(self) -> None:
        self.stop = False
        self.hurry = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(asked, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_hurry)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def wait(self, timeout: float) -> None:
        """Returns at the next signal, or after ``timeout`` seconds."""
        select.select([self._reader], [], [], max(0.0, timeout))
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _on_stop(self, *_: object) -> None:
        self.stop = True

    def _on_hurry(self, *_: object) -> None:
        self.hurry = True
