"""The resident worker: wakes at once, survives SIGKILL at every point, and leaves the lane to one process at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from pipelines.refresh import FAILPOINTS
from pipelines.refresh.errors import LaneTaken
from pipelines.refresh.program import Program
from pipelines.refresh.worker import LOCK, POLL_SECONDS, drain
from tests.marts import ACME, Marts, differences, hot_manifest, line, order
from tests.mirror import Connection, Stream

WORKER = """
import sys
from pathlib import Path
from pipelines.refresh import worker
from pipelines.runtime import Heartbeat, Stop
dsn, target, beat, poll = sys.argv[1:]
worker.POLL_SECONDS = float(poll)
worker.run(dsn, Path(target), Heartbeat(Path(beat), "refresh"), Stop().on_signals())
"""


@contextmanager
def worker(
    marts: Marts, beat: Path, failpoint: str = "", poll: float = POLL_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, marts.dsn(), str(hot_manifest().parent), str(beat), str(poll)],
        env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def queue_is_empty(owner: Connection) -> bool:
    return owner.execute("select count(*) from log.queue where consumer = 'refresh'").fetchone() == (0,)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_nothing_is_lost(
    failpoint: str, marts: Marts, owner: Connection, stream: Stream, program: Program, tmp_path: Path
) -> None:
    new = uuid4()
    stream.commit(order(new, ACME, number="SO-K"), line(uuid4(), new, quantity=Decimal(2), unit_price=Decimal(3)))
    with worker(marts, tmp_path / "beat.json", failpoint) as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
    with worker(marts, tmp_path / "beat.json"):
        until(lambda: queue_is_empty(owner))
    assert differences(owner, program) == []
    assert owner.execute("select count(*) from marts.fct_sales_order where order_id = %s", [new]).fetchone() == (1,)


def test_it_wakes_when_a_batch_lands_and_stops_when_asked(
    marts: Marts, owner: Connection, stream: Stream, program: Program, tmp_path: Path
) -> None:
    beat = tmp_path / "beat.json"
    with worker(marts, beat, poll=3600) as process:
        until(
            lambda: (
                owner.execute(
                    "select count(*) from pg_stat_activity where query ~* '^listen|^ *select exists'"
                ).fetchone()
                != (0,)
            )
        )
        for number in range(3):
            stream.commit(order(uuid4(), ACME, number=f"SO-{number}"))
            until(lambda: queue_is_empty(owner))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert '"batches": 3' in beat.read_text()
    assert differences(owner, program) == []


def test_one_process_at_a_time(
    marts: Marts, owner: Connection, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.refresh.worker.LEASE_PATIENCE", 0.1)
    stream.commit(order(uuid4(), ACME, number="SO-1"))
    target = hot_manifest().parent
    with marts.connect() as other:
        pid = other.info.backend_pid
        other.execute("select pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(LaneTaken, match=str(pid)):
            drain(marts.dsn(), target)
    assert not queue_is_empty(owner)
    assert sum(done.batches for done in drain(marts.dsn(), target)) == 1


def test_without_marts_it_says_so_and_waits(marts: Marts, owner: Connection, stream: Stream, tmp_path: Path) -> None:
    owner.execute("alter table marts.dim_account rename to away")
    stream.commit(order(uuid4(), ACME, number="SO-1"))
    beat = tmp_path / "beat.json"
    with worker(marts, beat):
        until(lambda: beat.exists() and "headwater rebuild marts" in beat.read_text())
        owner.execute("alter table marts.away rename to dim_account")
        until(lambda: queue_is_empty(owner))
        until(lambda: '"error": null' in beat.read_text())
