"""One supervised process: start it, notice its end, say when it may start again, stop it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headwater import proc
from headwater.embedded.account import Account

BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds to wait before the first, second … restart in a row; the last one for ever after."""

STEADY = 30.0
"""Seconds of running after which an end counts as the first in a row again."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Spec:
    """What to run. ``stop_signal`` asks it to end; after ``stop_timeout`` seconds it is killed.

    ``account`` is set for PostgreSQL alone. ``home_of_data`` names a directory that no process of an earlier
    incarnation may still work in when this one starts.
    """

    name: str
    argv: list[str]
    log: Path
    environment: dict[str, str]
    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 20.0
    account: Account | None = None
    port: int | None = None
    home_of_data: Path | None = None


@dataclass
class Child:
    spec: Spec
    process: subprocess.Popen[bytes] | None = None
    state: str = "stopped"
    restarts: int = 0
    failures: int = 0
    since: float = field(default_factory=time.time)
    last_exit: str = ""
    last_end: float | None = None
    due: float = 0.0
    _began: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def start(self) -> None:
        """Starts the process in a session of its own. The kernel sends it the stop signal if this process dies."""
        spec = self.spec
        if spec.home_of_data and proc.working_in(spec.home_of_data):
            # Backends of a killed server still hold its shared memory; a new server would refuse to start.
            proc.gone(lambda: proc.working_in(spec.home_of_data or Path()), timeout=5)
        with spec.log.open("ab") as log:
            if spec.account:
                spec.account.own(spec.log)
            self.process = subprocess.Popen(
                spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=spec.directory,
                env=spec.environment,
                start_new_session=True,
                preexec_fn=die_with_parent(spec.stop_signal),
                **(spec.account.switch if spec.account else {}),  # type: ignore[call-overload]
            )
        self._turn("running")
        self._began = time.monotonic()

    def ended(self) -> bool:
        """Whether a running process has ended; if so, its last descendants are ended too and a restart falls due."""
        if self.process is None or self.process.poll() is None:
            return False
        code = self.process.returncode
        self.last_exit = signal.Signals(-code).name if code < 0 else f"exit {code}"
        self.last_end = time.time()
        # A server's workers keep its port open after it was killed. Nobody reuses a session id that is in use.
        self._kill_session()
        if time.monotonic() - self._began > STEADY:
            self.failures = 0
        self._wait_longer()
        self.process = None
        self._turn("waiting")
        return True

    def restart_if_due(self) -> bool:
        if self.state != "waiting" or time.monotonic() < self.due:
            return False
        self.restarts += 1
        try:
            self.start()
        except OSError as error:  # no memory, no process slot, no disk for the log: as if it had ended at once
            self.last_exit = str(error)
            self._wait_longer()
        return True

    def hurry(self) -> None:
        """Forgets the back-off: what made the process fail has been mended."""
        self.failures = 0
        self.due = 0.0

    def ask_to_stop(self) -> None:
        """Signals the process; ``stop`` then waits for its end."""
        if self.state == "running" and self.process is not None and self.process.poll() is None:
            self._turn("stopping")
            self.process.send_signal(self.spec.stop_signal)

    def stop(self) -> None:
        """Asks the process to end, waits, and kills it and its descendants if it takes too long."""
        self.ask_to_stop()
        if self.process is not None:
            try:
                self.process.wait(self.spec.stop_timeout)
            except subprocess.TimeoutExpired:
                self.last_exit = f"killed after {self.spec.stop_timeout:.0f} s"
            self._kill_session()
            self.process.wait()
        self.process = None
        self._turn("stopped")

    def _wait_longer(self) -> None:
        self.due = time.monotonic() + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures += 1

    def describe(self) -> dict[str, object]:
        return {
            "pid": self.pid,
            "state": self.state,
            "port": self.spec.port,
            "restarts": self.restarts,
            "failures": self.failures,
            "since": self.since,
            "last_exit": self.last_exit,
            "last_end": self.last_end,
        }

    def _turn(self, state: str) -> None:
        self.state, self.since = state, time.time()

    def _kill_session(self) -> None:
        assert self.process is not None
        for pid in proc.pids():
            found = proc.stat(pid)
            if found and found.session == self.process.pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    continue


def die_with_parent(how: signal.Signals, parent: int | None = None) -> Callable[[], None]:
    """For ``preexec_fn``: has the kernel send ``how`` to the child when this process dies, however it dies.

    It runs after the change of user, which would clear the wish. A shell's ``&`` hands down an ignored SIGINT, which
    would make a stop by SIGINT wait for ever. Must be called from the thread that lives as long as the process. A child
    that calls it for itself names its ``parent``.
    """
    parent = os.getpid() if parent is None else parent

    def ask() -> None:
        for inherited in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(inherited, signal.SIG_DFL)
        _libc.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
