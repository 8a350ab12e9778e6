"""One supervised process, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater import proc
from headwater.supervisor import logs
from headwater.supervisor.child import BACK_OFF, Child, Spec


def eventually(true: Callable[[], bool], timeout: float = 60.0) -> bool:
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def child(tmp_path: Path, script: str, **options: object) -> Child:
    return Child(
        Spec(
            name="sample",
            argv=[sys.executable, "-c", script],
            log=tmp_path / "sample.log",
            environment=dict(os.environ),
            directory=tmp_path,
            **options,  # type: ignore[arg-type]
        )
    )


SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)
time.sleep(60)
"""


def test_a_killed_process_is_started_again_after_its_back_off(tmp_path: Path) -> None:
    sample = child(tmp_path, SLEEP)
    sample.start()
    first = sample.pid
    assert first is not None
    before = time.monotonic()
    os.kill(first, signal.SIGKILL)
    assert eventually(sample.ended)
    assert (sample.state, sample.last_exit, sample.pid) == ("waiting", "SIGKILL", None)
    assert sample.due >= before + BACK_OFF[0]
    assert eventually(sample.restart_if_due)
    assert time.monotonic() >= sample.due
    assert sample.pid not in (None, first)
    assert sample.restarts == 1
    sample.stop()
    assert sample.state == "stopped"


def test_waits_grow_with_failures_and_mending_the_cause_ends_them(tmp_path: Path) -> None:
    sample = child(tmp_path, "raise SystemExit(7)")
    for wait in BACK_OFF[:3]:
        before = time.monotonic()
        sample.start()
        assert eventually(sample.ended)
        assert before + wait <= sample.due <= time.monotonic() + wait
    assert sample.last_exit == "exit 7"
    sample.hurry()
    assert sample.restart_if_due()
    sample.stop()


def test_a_process_that_ignores_the_stop_is_killed_in_the_end(tmp_path: Path) -> None:
    sample = child(tmp_path, STUBBORN, stop_timeout=0.2)
    sample.start()
    assert eventually(lambda: "up" in sample.spec.log.read_text())
    pid = sample.pid
    assert pid is not None
    sample.stop()
    assert not proc.alive(pid)
    assert sample.last_exit.startswith("killed after")


def test_descendants_of_a_killed_process_do_not_outlive_it(tmp_path: Path) -> None:
    sample = child(tmp_path, PARENT)
    sample.start()
    assert eventually(lambda: sample.spec.log.read_text().strip().isdigit())
    descendant = int(sample.spec.log.read_text())
    assert sample.pid is not None
    os.kill(sample.pid, signal.SIGKILL)
    assert eventually(sample.ended)
    assert eventually(lambda: not proc.alive(descendant))


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    script = f"""
import os, sys, time
from pathlib import Path
from headwater.supervisor.child import Child, Spec
sample = Child(Spec("sample", [sys.executable, "-c", {SLEEP!r}], Path("sample.log"), dict(os.environ), Path(".")))
sample.start()
print(sample.pid, flush=True)
time.sleep(60)
"""
    root = Path(__file__).resolve().parents[2]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": str(root)},
    )
    assert supervisor.stdout is not None
    orphan = int(supervisor.stdout.readline())
    assert proc.alive(orphan)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert eventually(lambda: not proc.alive(orphan))


def test_a_log_past_its_limit_is_set_aside_while_it_is_written(tmp_path: Path) -> None:
    log = tmp_path / "sample.log"
    with log.open("ab", buffering=0) as writer:
        for generation in (b"first", b"second", b"third", b"fourth"):
            writer.write(generation * 10)
            assert logs.rotate(log, limit=10)
        writer.write(b"now")
    assert log.read_bytes() == b"now"
    assert (tmp_path / "sample.log.1").read_bytes() == b"fourth" * 10
    assert (tmp_path / "sample.log.2").read_bytes() == b"third" * 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.log", "sample.log.1", "sample.log.2"]


@pytest.mark.parametrize("content", ["short", None])
def test_a_small_or_absent_log_stays(tmp_path: Path, content: str | None) -> None:
    log = tmp_path / "sample.log"
    if content is not None:
        log.write_text(content)
    assert not logs.rotate(log, limit=10)
