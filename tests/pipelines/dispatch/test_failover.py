"""The cluster of services and deliveries is lost and its standby takes over: dispatch goes on, each event once."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from cdc.sources.reader import Limits
from tests.pipelines.dispatch.dispatch_thread import DispatchThread, eventually
from tests.pipelines.dispatch.source_database import SourceDatabase
from tests.pipelines.dispatch.stream_database import StreamDatabase, create_stream_database
from tests.pipelines.dispatch.test_repair import mend, waiting
from tests.standby import Pair


def begin(pair: Pair) -> tuple[SourceDatabase, StreamDatabase]:
    """Services and deliveries in one cluster, with one subscriber."""
    source = SourceDatabase(pair.primary)
    stream = create_stream_database(pair.primary, "stream")
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    return source, stream


@pytest.mark.parametrize(("unread", "address_kept"), [(0, True), (5, True), (5, False)])
def test_dispatch_goes_on_over_the_promoted_standby(
    pair: Pair, tmp_path: Path, unread: int, address_kept: bool
) -> None:
    source, stream = begin(pair)
    account = uuid.uuid4()

    worker = DispatchThread(source, stream, tmp_path)
    try:
        events = [source.emit(account, version) for version in range(1, 11)]
        eventually(lambda: waiting(stream) == events)
        pair.keeps(source.name, source.slot)
        if unread:
            worker.stop()
            events += [source.emit(account, version) for version in range(11, 11 + unread)]
        pair.follows()
        source.connection.close()
        source.move(pair.fail_over(address_kept=address_kept))
        stream.cluster = pair.standby
        if unread:
            worker = DispatchThread(source, stream, tmp_path)
        events += [source.emit(account, version) for version in range(20, 25)]
        eventually(lambda: waiting(stream) == events, 60)
    finally:
        worker.stop()
    ((stored,),) = (row.values() for row in stream.rows("select timeline from stream.position"))
    assert stored == 2


@pytest.mark.parametrize("pair", [False], indirect=True)
def test_a_slot_that_is_ahead_of_its_position_is_a_gap_and_its_repair_delivers_what_lies_between(
    pair: Pair, tmp_path: Path
) -> None:
    """The standby learned where the slot stood, and was lost before it had the delivery that the slot had moved for."""
    source, stream = begin(pair)
    account = uuid.uuid4()

    def dispatch() -> DispatchThread:
        # An idle reader's position would soon lie beyond what the standby has, and its slot is then not copied.
        reader = source.source(tmp_path, limits=Limits(idle_seconds=3600), slot_timeout=1)
        return DispatchThread.of([reader], stream, tmp_path)

    worker = dispatch()
    try:
        events = [source.emit(account, version) for version in range(1, 6)]
        eventually(lambda: waiting(stream) == events)
        pair.keeps(source.name, source.slot)
        worker.stop()
        last = source.emit(account, 6)
        pair.follows()
        pair.receive_no_more()
        worker = dispatch()
        eventually(lambda: waiting(stream) == [*events, last])
        worker.stop()
        pair.copied(source.slot)
        pair.crash_standby()
        source.connection.close()
        source.move(pair.fail_over())
        stream.cluster = pair.standby
        assert waiting(stream) == events, "the standby has the event, and not its delivery"
        worker = dispatch()
        eventually(lambda: "headwater repair" in str(worker.heartbeat["error"]), 60)
        assert waiting(stream) == events
        worker.stop()
        mend(source, stream)
        assert waiting(stream) == [*events, last]
        worker = dispatch()
        events += [last, source.emit(account, 7)]
        eventually(lambda: waiting(stream) == events)
        assert worker.heartbeat["error"] is None
    finally:
        worker.stop()
