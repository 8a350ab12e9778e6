"""What resident workers share: parts that end together, and a heartbeat that never ends the work it tells of."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipelines.runtime import Heartbeat, run_each


def test_an_error_of_one_part_stops_the_others_and_is_raised() -> None:
    stop = threading.Event()

    def fail() -> None:
        raise LookupError("nobody's outage")

    with pytest.raises(LookupError, match="nobody's outage"):
        run_each({"waits": lambda: stop.wait(30) or None, "fails": fail}, stop)
    assert stop.is_set()


def test_a_full_disk_makes_the_heartbeat_stale_and_nothing_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "landing.json"
    heartbeat = Heartbeat(path, "landing", every=0)
    heartbeat.progress(batches=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        heartbeat.progress(batches=1)
        Heartbeat(tmp_path / "elsewhere" / "landing.json", "landing")
    assert json.loads(path.read_text())["counters"] == {"batches": 1}
    heartbeat.beat()
    assert json.loads(path.read_text())["counters"] == {"batches": 2}


@pytest.mark.parametrize("module", ["headwater.landing", "headwater.streaming"])
def test_workers_of_the_stream_do_without_django(module: str) -> None:
    """It would take some 3 MB of each of them for good."""
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print('django' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"


def test_a_signal_in_the_middle_of_a_wait_ends_the_process() -> None:
    """The handler finds the lock of the wait taken by the very thread that it runs in."""
    program = (
        "import os, signal\n"
        "from pipelines.runtime import Stop\n"
        "stop = Stop().on_signals()\n"
        "with stop._cond:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert stop.wait(60)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=90)
