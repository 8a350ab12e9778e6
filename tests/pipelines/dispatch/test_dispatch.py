"""From outbox to deliveries through a real slot: every event once per subscriber, in order, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from cdc.positions import Epoch, Position
from cdc.slots import create_slot, drop_slot
from pipelines.dispatch.errors import Superseded
from pipelines.dispatch.store import connect, store_position, stored_position
from pipelines.dispatch.worker import FAILPOINTS, run
from pipelines.runtime import Heartbeat, Stop
from tests.pipelines.dispatch.dispatch_thread import DispatchThread, eventually
from tests.pipelines.dispatch.source_database import SourceDatabase
from tests.pipelines.dispatch.stream_database import StreamDatabase


def delivered(stream: StreamDatabase, consumer: str) -> list[uuid.UUID]:
    rows = stream.rows("select event_id from stream.delivery where consumer = %s order by id", consumer)
    return [row["event_id"] for row in rows]


def test_each_subscriber_gets_the_events_it_wants_in_commit_order(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    stream.subscribe("finance", "ACCOUNT_CREATED", "ACCOUNT_UPDATED")
    stream.subscribe("orders", "ACCOUNT_UPDATED")
    stream.subscribe("contacts", "ACCOUNT_STATUS_CHANGED")
    account = uuid.uuid4()
    created = source.emit(account, 1, type="ACCOUNT_CREATED", payload={"name": "Acme", "annual_revenue": "12.5000"})
    updates = [source.emit(account, version) for version in (2, 3)]
    held = source.emit(account, 1, type="ACCOUNT_STATUS_CHANGED", producer="finance")
    eventually(lambda: delivered(stream, "contacts") == [held])
    assert delivered(stream, "finance") == [created, *updates]
    assert delivered(stream, "orders") == updates
    (row,) = stream.rows("select * from stream.delivery where consumer = 'finance' and event_id = %s", created)
    assert row["payload"] == {"name": "Acme", "annual_revenue": "12.5000"}
    assert (row["source"], row["producer"], row["aggregate_type"]) == ("headwater", "contacts", "account")
    assert (row["aggregate_id"], row["aggregate_version"], row["schema_version"]) == (account, 1, 1)


def test_nothing_but_inserted_outbox_rows_is_delivered(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    first = source.emit(uuid.uuid4(), 1)
    source.connection.execute("delete from contacts.outbox")
    source.connection.execute("select pg_logical_emit_message(true, 'headwater.audit', '{}')")
    second = source.emit(uuid.uuid4(), 1)
    eventually(lambda: delivered(stream, "finance") == [first, second])


def test_the_position_is_stored_before_the_slot_moves_idle_times_included(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    source.emit(uuid.uuid4(), 1)

    def lsns() -> tuple[int, int]:
        # The slot is read first: what it has confirmed by then was stored before.
        (slot,) = source.connection.execute(
            "select confirmed_flush_lsn - '0/0' as lsn from pg_replication_slots where slot_name = %s", [source.slot]
        ).fetchall()
        stored = stream.rows("select lsn - '0/0' as lsn from stream.position")
        return int(slot["lsn"]), int(stored[0]["lsn"]) if stored else 0

    eventually(lambda: lsns()[1] > 0)
    (row,) = source.connection.execute("select pg_current_wal_lsn() - '0/0' as lsn").fetchall()
    with source.cluster.connect() as other:
        for _ in range(50):
            other.execute("select txid_current()")
            confirmed, stored = lsns()
            assert confirmed <= stored
    eventually(lambda: lsns()[0] > row["lsn"])


def test_a_malformed_row_is_kept_apart_and_stops_nothing(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    source.connection.execute("alter table contacts.outbox alter aggregate_id type text, alter type drop not null")
    before = source.emit(uuid.uuid4(), 1)
    source.connection.execute(
        "insert into contacts.outbox values (%s, 'account', 'acme', 1, 'ACCOUNT_UPDATED', 1, '{}', now())",
        [no_uuid := uuid.uuid4()],
    )
    no_type = uuid.uuid4()
    source.connection.execute(
        "insert into contacts.outbox values (%s, 'account', %s, 1, null, 1, '{}', now())", [no_type, uuid.uuid4()]
    )
    after = [source.emit(uuid.uuid4(), 1) for _ in range(5)]
    worker = DispatchThread(source, stream, tmp_path)
    try:
        eventually(lambda: delivered(stream, "finance") == [before, *after])
    finally:
        worker.stop()
    found = {row["outbox_id"]: row for row in stream.rows("select * from stream.malformed")}
    assert found[str(no_uuid)]["error"] == 'invalid input syntax for type uuid: "acme"'
    assert found[str(no_uuid)]["image"]["aggregate_id"] == "acme"
    assert found[str(no_type)]["error"] == "no value for type"


def test_a_transaction_of_many_events_is_delivered_whole_from_disk(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    source.connection.execute(
        "insert into contacts.outbox select gen_random_uuid(), 'account', gen_random_uuid(), n, 'ACCOUNT_UPDATED', 1,"
        " '{}', now() from generate_series(1, 12000) n"
    )
    worker = DispatchThread(source, stream, tmp_path, spool_changes=1000)
    try:
        eventually(lambda: len(delivered(stream, "finance")) == 12000)
    finally:
        worker.stop()
    versions = stream.rows("select aggregate_version as n from stream.delivery order by id")
    assert [row["n"] for row in versions] == list(range(1, 12001))


def test_a_lost_slot_is_named_and_nothing_is_read_past_the_gap(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    worker = DispatchThread(source, stream, tmp_path)
    first = source.emit(uuid.uuid4(), 1)
    eventually(lambda: delivered(stream, "finance") == [first])
    worker.stop()
    drop_slot(source.dsn, source.slot)
    source.emit(uuid.uuid4(), 1)

    worker = DispatchThread(source, stream, tmp_path)
    try:
        eventually(lambda: f"slot {source.slot} does not exist" in (worker.heartbeat["error"] or ""))
        assert "headwater repair headwater" in worker.heartbeat["error"]
        create_slot(source.dsn, source.slot)
        source.emit(uuid.uuid4(), 1)
        eventually(lambda: "has a gap from" in (worker.heartbeat["error"] or ""))
        assert delivered(stream, "finance") == [first]
    finally:
        worker.stop()


def test_while_the_stream_database_is_away_the_slot_keeps_what_is_written(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    events = [source.emit(uuid.uuid4(), 1)]
    eventually(lambda: delivered(stream, "finance") == events)
    with stream.cluster.connect() as server:
        server.execute(f"alter database {stream.name} allow_connections false".encode())
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [stream.name])
        events += [source.emit(uuid.uuid4(), 1) for _ in range(3)]
        eventually(lambda: dispatching.heartbeat["error"] is not None)
        server.execute(f"alter database {stream.name} allow_connections true".encode())
    eventually(lambda: delivered(stream, "finance") == events)
    eventually(lambda: dispatching.heartbeat["error"] is None)


def test_a_process_that_was_left_behind_cannot_move_the_position_back(stream: StreamDatabase) -> None:
    """It was paused after reading, the server gave the slot to another, and now it wants to store what it had."""
    epoch = Epoch("7", 1, "hw_dispatch")
    with connect(stream.dsn("hw_dispatch")) as connection:
        store_position(connection, Position("headwater", epoch, 200))
        with pytest.raises(Superseded, match="another dispatch process has stored a position after 0/64"):
            store_position(connection, Position("headwater", epoch, 100))
        assert stored_position(connection, "headwater") == Position("headwater", epoch, 200)


def test_an_error_that_waiting_cannot_mend_ends_the_process(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    with stream.connect() as owner:
        owner.execute("drop table stream.subscription cascade")
    source.emit(uuid.uuid4(), 1)
    with pytest.raises(psycopg.errors.UndefinedTable):
        run([source.source(tmp_path)], stream.dsn("hw_dispatch"), Heartbeat(tmp_path / "d.json", "d"), Stop())


@pytest.fixture
def kill_at(source: SourceDatabase, stream: StreamDatabase, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Runs a dispatch process armed with a fail-point and waits for its death."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(failpoint: str) -> None:
        arguments = [source.dsn, source.slot, stream.dsn("hw_dispatch"), str(tmp_path)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipelines.dispatch.dispatch_process", *arguments],
            env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
        )
        processes.append(process)
        assert process.wait(timeout=30) == -signal.SIGKILL

    yield run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_it_delivers_each_event_once_and_in_order(
    failpoint: str, source: SourceDatabase, stream: StreamDatabase, tmp_path: Path, kill_at: Callable[[str], None]
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    accounts = [uuid.uuid4() for _ in range(3)]
    events = [source.emit(account, version) for version in range(1, 6) for account in accounts]
    kill_at(failpoint)
    events += [source.emit(account, 6) for account in accounts]
    kill_at(failpoint)
    events += [source.emit(account, 7) for account in accounts]

    worker = DispatchThread(source, stream, tmp_path)
    try:
        eventually(lambda: len(delivered(stream, "finance")) >= len(events))
        last = source.emit(uuid.uuid4(), 1)
        eventually(lambda: last in delivered(stream, "finance"))
        assert worker.heartbeat["error"] is None
    finally:
        worker.stop()
    assert delivered(stream, "finance") == [*events, last]


def test_heartbeat_counts_events_and_deliveries(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    stream.subscribe("orders", "ACCOUNT_UPDATED")
    source.emit(uuid.uuid4(), 1)
    eventually(lambda: dispatching.heartbeat["counters"] == {"events": 1, "deliveries": 2})
    assert json.dumps(dispatching.heartbeat["error"]) == "null"
