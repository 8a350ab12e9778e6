"""The loader: every landed change and audit message in the lake once, whatever is killed, replayed or away."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime

import pytest

from pipelines.lake import FAILPOINTS
from pipelines.lake.errors import LakeTaken
from pipelines.lake.lease import writing
from pipelines.lake.loader import drain, load
from pipelines.lake.retention import verify
from pipelines.lake.worker import run
from pipelines.runtime import Heartbeat
from tests.lakes import LakeSide, killed_at
from tests.mirror import delete, put, truncate
from tests.stack import eventually
from warehouse.lake.errors import LakeUnavailable
from warehouse.lake.place import Lake

ONE, TWO = uuid.uuid4(), uuid.uuid4()


def write(side: LakeSide, rounds: int = 3) -> None:
    """A few batches with everything that a change can be."""
    for n in range(rounds):
        side.stream.commit(
            put("contacts.account", account_uuid=ONE, name=f'Acme "{n}" | \\ Ü\n', annual_revenue=n),
            put("contacts.contact", id=TWO, last_name="Lee", custom={"n": n}),
            actor="Alice",
            reason="because",
        )
    side.stream.commit(delete("contacts.contact", id=TWO))
    side.stream.commit(truncate("contacts.account_contact"))


def test_what_landed_is_in_the_lake_as_it_landed_with_who_did_it(side: LakeSide) -> None:
    write(side)
    loaded = load(side.lake)
    assert (loaded.batches, loaded.changes, loaded.transactions) == (5, 8, 3)
    assert side.difference() == []
    assert side.query(
        "select op, key, after ->> 'name' from lake.log.changes where lsn = (select min(lsn) from lake.log.changes)"
    ) == [("u", f'{{"account_uuid": "{ONE}"}}', 'Acme "0" | \\ Ü\n')]
    assert side.query("select distinct actor_name, reason from lake.log.transactions") == [("Alice", "because")]
    assert side.log("select count(*) from log.queue where consumer = 'lake'") == [(0,)]
    assert load(side.lake).batches == 0


def test_a_batch_that_is_queued_again_is_not_loaded_again(side: LakeSide) -> None:
    write(side)
    drain(side.lake)
    side.log("insert into log.queue (consumer, batch_id) select 'lake', batch_id from log.batch")
    assert drain(side.lake).batches == 0
    assert side.difference() == []
    assert side.log("select count(*) from log.queue where consumer = 'lake'") == [(0,)]


def test_loads_are_cut_at_whole_batches(side: LakeSide) -> None:
    write(side)
    assert load(side.lake, rows=4).batches == 2
    assert side.difference() == []
    assert load(side.lake, rows=1).batches == 1
    assert drain(side.lake).batches == 2
    assert side.count() == (8, 8)


@pytest.mark.parametrize(
    "point", [p for p in FAILPOINTS if p in ("lake.claimed", "lake.written", "lake.after_commit", "lake.after_queue")]
)
def test_killed_anywhere_in_a_load_nothing_is_lost_or_doubled(side: LakeSide, point: str) -> None:
    write(side)
    killed_at(point, side.lake, "loader.drain(lake)")
    assert side.difference() == []
    write(side)
    drain(side.lake)
    assert side.difference() == []
    assert side.count() == (16, 16)


def test_sources_are_cut_each_at_its_own_batch(side: LakeSide) -> None:
    from tests.mirror import Stream

    other = Stream(side.owner, "finance")
    write(side, 1)
    other.commit(put("finance.account_profile", account_uuid=ONE))
    load(side.lake, rows=3)
    assert side.difference() == []
    drain(side.lake)
    assert side.query("select source, max(to_batch) - min(from_batch) from lake.log.ranges group by 1 order by 1") == [
        ("finance", 0),
        ("headwater", 2),
    ]


def test_a_source_whose_tables_are_read_whole_waits(side: LakeSide) -> None:
    write(side)
    side.log("insert into log.snapshot (source, epoch, purpose) values ('headwater', 1, 'initial')")
    assert load(side.lake).batches == 0
    side.log("update log.snapshot set finished_at = now()")
    assert load(side.lake).batches == 5


def test_a_lake_from_before_transactions_were_numbered_goes_on(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"))
    drain(side.lake)
    with side.lake.open(writable=True) as session:
        session.execute("alter table lake.log.changes drop column commit_no")
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme Ltd"))
    drain(side.lake)
    assert side.query("select commit_no from lake.log.changes order by batch_id") == [(None,), (0,)]
    assert verify(side.lake, datetime.now(UTC).date()) == []


def test_one_writer_at_a_time(side: LakeSide) -> None:
    write(side)
    with writing(side.lake.log), pytest.raises(LakeTaken, match="headwater lake"):
        load(side.lake, patience=0.1)
    assert load(side.lake).batches == 5


def test_a_catalogue_that_does_not_answer_delays_and_loses_nothing(side: LakeSide) -> None:
    write(side)
    nobody = side.lake.catalogue.replace(f"port={side.cluster.port}", "port=1")
    away = Lake(nobody, side.lake.log, side.lake.data, side.lake.scratch)
    with pytest.raises(LakeUnavailable) as caught:
        load(away)
    assert "secret" not in str(caught.value)
    assert side.log("select count(*) from log.queue where consumer = 'lake'") == [(5,)]
    assert load(side.lake).batches == 5
    assert side.difference() == []


def test_a_full_disk_delays_and_loses_nothing(side: LakeSide) -> None:
    for _ in range(40):
        side.stream.commit(
            put("contacts.account", account_uuid=ONE, name="".join(uuid.uuid4().hex for _ in range(200)))
        )
    program = (
        "import resource, signal\n"
        "from pathlib import Path\nfrom warehouse.lake.place import Lake\nfrom pipelines.lake.loader import load\n"
        "from warehouse.lake.errors import LakeUnavailable\n"
        f"lake = Lake({side.lake.catalogue!r}, {side.lake.log!r}, Path({str(side.lake.data)!r}),"
        f" Path({str(side.lake.scratch)!r}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n    load(lake)\nexcept LakeUnavailable as error:\n    print('refused', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("refused"), done.stderr
    assert side.query("select count(*) from lake.log.changes") == [(0,)]
    assert load(side.lake).batches == 40
    assert side.difference() == []


def test_the_worker_loads_what_lands_and_stops(side: LakeSide, tmp_path) -> None:  # type: ignore[no-untyped-def]
    stop = threading.Event()
    heartbeat = Heartbeat(tmp_path / "lake.json", "lake")
    thread = threading.Thread(target=run, args=[side.lake, heartbeat, stop], kwargs={"after": 0.5})
    thread.start()
    try:
        write(side)
        eventually(lambda: side.log("select count(*) from log.queue where consumer = 'lake'") == [(0,)], 60)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert side.difference() == []
