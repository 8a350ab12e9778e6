"""After a slot was lost: no event is lost, none waits twice, each aggregate's order holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from cdc.errors import SlotInUse
from cdc.slots import drop_slot
from pipelines.dispatch.repair import FAILPOINTS, Repaired, repair
from tests.pipelines.dispatch.dispatch_thread import DispatchThread, eventually
from tests.pipelines.dispatch.source_database import SourceDatabase
from tests.pipelines.dispatch.stream_database import StreamDatabase


def mend(source: SourceDatabase, stream: StreamDatabase) -> Repaired:
    return repair("headwater", source.dsn, stream.dsn("hw_dispatch"), slot=source.slot, publication="hw_dispatch")


def waiting(stream: StreamDatabase) -> list[uuid.UUID]:
    return [row["event_id"] for row in stream.rows("select event_id from stream.delivery order by id")]


def test_events_committed_without_a_slot_are_delivered_from_the_outbox(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    account = uuid.uuid4()
    worker = DispatchThread(source, stream, tmp_path)
    applied, still_waiting = source.emit(account, 1), source.emit(account, 2)
    eventually(lambda: waiting(stream) == [applied, still_waiting])
    worker.stop()
    stream.rows("select stream.done('finance', %s)", [applied])
    drop_slot(source.dsn, source.slot)
    missed = [source.emit(account, 3), source.emit(account, 4)]

    repaired = mend(source, stream)

    assert (repaired.events, repaired.deliveries) == (4, 3)
    # What was applied comes again, last, for the inbox to skip: dispatch cannot know what a service has applied.
    assert waiting(stream) == [still_waiting, applied, *missed]
    worker = DispatchThread(source, stream, tmp_path)
    try:
        last = source.emit(account, 5)
        eventually(lambda: waiting(stream) == [still_waiting, applied, *missed, last])
        assert worker.heartbeat["error"] is None
    finally:
        worker.stop()


def test_order_within_an_aggregate_is_that_of_its_versions_whatever_the_clock_said(
    source: SourceDatabase, stream: StreamDatabase
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    a, b = uuid.uuid4(), uuid.uuid4()
    a1, b1, a2, a3 = source.emit(a, 1), source.emit(b, 1), source.emit(a, 2), source.emit(a, 3)
    source.connection.execute("update contacts.outbox set occurred_at = '2001-01-01' where id = %s", [a2])
    mend(source, stream)
    assert waiting(stream) == [a1, a2, b1, a3]


def test_malformed_rows_are_judged_again(source: SourceDatabase, stream: StreamDatabase) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    source.connection.execute("alter table contacts.outbox alter type drop not null")
    event = source.emit(uuid.uuid4(), 1)
    source.connection.execute("update contacts.outbox set type = null")
    mend(source, stream)
    assert [row["outbox_id"] for row in stream.rows("select outbox_id from stream.malformed")] == [str(event)]
    source.connection.execute("update contacts.outbox set type = 'ACCOUNT_UPDATED'")
    mend(source, stream)
    assert stream.rows("select 1 from stream.malformed") == []
    assert waiting(stream) == [event]


def test_a_slot_that_is_read_is_left_alone(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    eventually(lambda: bool(stream.rows("select 1 from stream.position")))
    monkeypatch.setattr("cdc.slots.drop_slot.__kwdefaults__", {"timeout": 0.1})
    with pytest.raises(SlotInUse):
        mend(source, stream)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
@pytest.mark.parametrize("dispatched_before", [True, False])
def test_killed_while_repairing_dispatch_stops_at_the_gap_until_repair_has_ended(
    failpoint: str, dispatched_before: bool, source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    events = []
    if dispatched_before:
        worker = DispatchThread(source, stream, tmp_path)
        events.append(source.emit(uuid.uuid4(), 1))
        eventually(lambda: waiting(stream) == events)
        worker.stop()
    drop_slot(source.dsn, source.slot)
    events.append(source.emit(uuid.uuid4(), 1))
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pipelines.dispatch.repair import repair;"
            "repair('headwater', sys.argv[1], sys.argv[2], slot=sys.argv[3], publication='hw_dispatch')",
            source.dsn,
            stream.dsn("hw_dispatch"),
            source.slot,
        ],
        env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
        timeout=30,
    )
    assert process.returncode == -signal.SIGKILL

    worker = DispatchThread(source, stream, tmp_path)
    try:
        eventually(lambda: source.slot in (worker.heartbeat["error"] or ""))
        mend(source, stream)
        events.append(source.emit(uuid.uuid4(), 1))
        eventually(lambda: waiting(stream) == events)
        eventually(lambda: worker.heartbeat["error"] is None)
    finally:
        worker.stop()
