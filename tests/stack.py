"""The whole system as a user starts it, in a state directory of its own: for end-to-end tests, storm and bench."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headwater import config, proc
from headwater.config import Config
from headwater.state import PROJECT, Home, read_json
from headwater.supervisor.lock import Lock


class Stack:
    """One installation. ``environment`` is added to every process's; ``root`` is made (and removed) if not given."""

    def __init__(self, root: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._made = None
        if root is None:
            self._made = Path(tempfile.mkdtemp(prefix="headwater-stack-"))
            self._made.chmod(0o711)
            root = self._made / "state"
        self.home = Home(root)
        self.environment = dict(os.environ) | {"HEADWATER_HOME": str(root)} | dict(environment or {})

    def run(self, *arguments: str, check: bool = True, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
        """``headwater ARGUMENTS``; raises AssertionError with its output if ``check`` and it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "headwater", *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, *, demo: bool = False, dagster: bool = False) -> str:
        """Starts everything and returns what was printed; with ``demo`` the demo company is loaded on first start.

        Dagster, which takes seconds and memory, is left out of stacks that are not about it.
        """
        left_out = [*([] if demo else ["--no-demo"]), *([] if dagster else ["--no-dagster"])]
        return self.run("up", "--detach", *left_out).stdout

    def down(self) -> str:
        return self.run("down").stdout

    def close(self) -> None:
        """Stops everything and deletes every trace."""
        self.run("down", "--erase", "--yes", check=False)
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)

    @property
    def config(self) -> Config:
        return config.read(self.home.root)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.config.public_port}"

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json", check=False).stdout)

    def told(self) -> str:
        """What ``status`` says now, if it gives an answer in a minute, and how each log ends."""
        try:
            said = self.run("status", check=False, timeout=60)
            told = [said.stdout, said.stderr]
        except subprocess.TimeoutExpired as silent:
            told = [str(silent)]
        for log in sorted(self.home.logs.glob("*.log")):
            told += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:]]
        return "\n".join(told)

    def token(self, user: str = "admin") -> str:
        return self.run("token", "--user", user).stdout.strip()

    def supervisor(self) -> int | None:
        return Lock(self.home.run).holder()

    def pid(self, name: str) -> int | None:
        """The supervised process's id as of now; None while it is down."""
        found = read_json(self.home.supervisor).get("processes", {}).get(name, {}).get("pid")
        return found if isinstance(found, int) and proc.alive(found) else None

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Kills the supervised process (``supervisor`` for the supervisor itself) and returns its id."""
        pid = self.supervisor() if name == "supervisor" else self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, how)
        return pid

    def healthy(self) -> bool:
        """Whether the web process answers its health check now."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def call(
        self, method: str, path: str, body: object = None, *, token: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """An HTTP call; returns (status, decoded body, headers with lower-case names)."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null"), _lower(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null"), _lower(error.headers)


def running() -> Iterator[Stack]:
    """An empty installation, started and at the end deleted: the body of a fixture."""
    system = Stack()
    try:
        system.up()
        yield system
    finally:
        system.close()


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def eventually(true: Callable[[], Any], timeout: float = 90.0, what: str = "") -> Any:
    """Polls until ``true()`` is truthy and returns it; raises AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := true()):
        assert time.monotonic() < deadline, f"did not happen in {timeout:.0f} s: {what or true}"
        time.sleep(0.05)
    return found
