"""Watches Dagster's three processes: starts one that died again, with back-off, and stops them in order.

``start`` in processes.py replaces itself by this program, which therefore inherits its children. Run as a script with
``-I -S`` and few imports, so that it takes some six megabytes and not what its predecessor imported. Stops on SIGTERM.
"""

import contextlib
import json
import os
import signal
import sys
import time

BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY = 60.0
"""Seconds of running after which an end counts as the first in a row again."""

STOP_ORDER = ("daemon", "webserver", "code")
"""Nobody launches a run any more; then nobody asks; the code server goes last and takes its runs along."""

PATIENCE = 8.0
"""Seconds for each part to end when asked; then it is killed."""

BEAT = 20.0
WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Part:
    def __init__(self, name, pid):
        self.name = name
        self.pid = pid
        self.began = time.monotonic()
        self.failures = 0
        self.restarts = 0
        self.due = 0.0
        self.ended = ""

    def start(self, command):
        """A process of its own, with default signals: an ignored SIGTERM would be inherited and never stop it."""
        pid = os.fork()
        if pid == 0:
            try:
                for number in WATCHED:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
                os.execv(command[0], [*command, self.name])
            finally:
                os._exit(127)
        self.pid, self.began = pid, time.monotonic()
        self.restarts += 1

    def note_end(self, status):
        if time.monotonic() - self.began > STEADY:
            self.failures = 0
        self.due = time.monotonic() + BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures += 1
        code = os.waitstatus_to_exitcode(status)
        self.ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
        self.end_group()
        self.pid = None

    def end_group(self):
        """What it started (a run, a build) must not go on without it: nobody would hear how that ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def ask(self):
        """Asks it and what it started: a run that is asked ends itself, and says so."""
        try:
            os.killpg(self.pid, signal.SIGTERM)
        except ProcessLookupError:  # it has not made its group yet
            os.kill(self.pid, signal.SIGTERM)


class Keeper:
    def __init__(self, given):
        self.parts = {name: Part(name, pid) for name, pid in given["pids"].items()}
        self.command = given["command"]
        self.heartbeat = given["heartbeat"]
        self.socket = given["socket"]
        self.since = now()

    def run(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while True:
            self.reap()
            self.restart()
            self.beat()
            told = signal.sigtimedwait(WATCHED, self.until_due())
            if told is not None and told.si_signo != signal.SIGCHLD:
                self.stop()
                return

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for part in self.parts.values():
                if part.pid == pid:
                    part.note_end(status)
                    say(f"{part.name} ended ({part.ended})")

    def restart(self):
        for part in self.parts.values():
            if part.pid is None and time.monotonic() >= part.due:
                if part.name == "code":
                    unlink(self.socket)
                part.start(self.command)
                say(f"{part.name} is started again as process {part.pid}")

    def until_due(self):
        waits = [part.due - time.monotonic() for part in self.parts.values() if part.pid is None]
        return max(0.0, min([BEAT, *waits]))

    def stop(self):
        for name in STOP_ORDER:
            part = self.parts[name]
            if part.pid is None:
                continue
            part.ask()
            deadline = time.monotonic() + PATIENCE
            while part.pid is not None and time.monotonic() < deadline:
                signal.sigtimedwait([signal.SIGCHLD], 0.2)
                self.reap()
            if part.pid is not None:
                part.end_group()

    def beat(self):
        """In the form of the workers' heartbeats (pipelines.runtime), for ``status`` and ``doctor``."""
        away = [f"{p.name} ended ({p.ended}) and is started again" for p in self.parts.values() if p.pid is None]
        state = {
            "name": "dagster",
            "pid": os.getpid(),
            "since": self.since,
            "beat_at": now(),
            "progress_at": None,
            "counters": {"restarts": sum(p.restarts for p in self.parts.values())},
            "error": "\n".join(away) or None,
            "detail": {p.name: p.pid for p in self.parts.values()},
        }
        partial = f"{self.heartbeat}.partial"
        try:
            with open(partial, "w") as file:
                json.dump(state, file)
            os.replace(partial, self.heartbeat)
        except OSError as error:  # a full disk must not end the keeper
            say(str(error))


def unlink(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def say(sentence):
    print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), sentence, flush=True)


if __name__ == "__main__":
    Keeper(json.loads(sys.argv[1])).run()
