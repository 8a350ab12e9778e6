"""Services in processes of their own on a running installation, and an nginx in front of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from headwater import ports
from headwater.state import PROJECT
from tests.stack import Stack, eventually


class Service:
    """``headwater serve NAME`` on the databases of the stack, always at the same address."""

    def __init__(self, stack: Stack, name: str, **environment: str) -> None:
        self.name = name
        self._stack = stack
        self._environment = environment
        claims = ports.Claims()
        self._port = ports.choose(stack.home.root, f"{name} alone", claims)
        claims.release()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "headwater", "serve", self.name, "--port", str(self._port)],
            cwd=PROJECT,
            env=self._stack.environment | self._environment,
        )
        eventually(self._answers)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.HTTPError:
            return False


class Nginx:
    """A real nginx on a configuration that ``headwater gateway`` wrote, in a directory that its workers may enter."""

    def __init__(self, stack: Stack, services: list[Service], *options: str) -> None:
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        assert binary, "nginx is absent: run tests/tools/install.sh"
        self._binary = binary
        self.directory = Path(tempfile.mkdtemp(prefix="headwater-nginx-"))
        self.directory.chmod(0o711)
        claims = ports.Claims()
        self._port = ports.choose(stack.home.root, "gateway", claims)
        claims.release()
        self.url = f"http://127.0.0.1:{self._port}"
        self._file = self.directory / "nginx.conf"
        before = stack.environment
        stack.environment = before | {f"HEADWATER_URL_{service.name.upper()}": service.url for service in services}
        try:
            stack.run("gateway", "--listen", f"127.0.0.1:{self._port}", "--to", str(self._file), *options)
        finally:
            stack.environment = before
        self._process: subprocess.Popen[bytes] | None = None

    def tested(self) -> str:
        """What ``nginx -t`` says; AssertionError where it refuses."""
        done = subprocess.run(self._command("-t"), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        self._process = subprocess.Popen(self._command("-g", "daemon off;"))
        eventually(lambda: self.call("GET", "/metrics").status_code == 404)

    def close(self) -> None:
        if self._process:
            os.kill(self._process.pid, signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """An answer; status 0 where nothing listens yet."""
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            return httpx.request(method, self.url + path, headers=headers, timeout=30, **options)
        except httpx.ConnectError:
            return httpx.Response(0)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "access.log").read_text().splitlines()]

    def _command(self, *more: str) -> list[str]:
        return [self._binary, "-p", str(self.directory), "-c", str(self._file), "-e", "stderr", *more]
