"""Old outbox and inbox rows go only when no reader and no waiting event can need them."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from cdc.slots import create_slot, drop_slot
from headwater.embedded.postgres import free_port
from pipelines.dispatch.retention import BEHIND_TIMEOUT, Purged, Service, _reader_behind, purge
from tests.pipelines.dispatch.dispatch_thread import DispatchThread, eventually
from tests.pipelines.dispatch.source_database import PRODUCERS, SourceDatabase
from tests.pipelines.dispatch.stream_database import PASSWORDS, StreamDatabase, ensure_roles

INBOX = """
create table {schema}.inbox (
    consumer text, event_id uuid, applied_at timestamptz not null, primary key (consumer, event_id)
)
"""


@pytest.fixture(autouse=True)
def owned_tables(source: SourceDatabase) -> None:
    """Inboxes beside the outboxes, and both owned by the service's owner, as whom retention runs."""
    ensure_roles(source.cluster, [f"hw_{schema}_owner" for schema in PRODUCERS])
    for schema in PRODUCERS:
        source.connection.execute(INBOX.format(schema=schema).encode())
        source.connection.execute(f"grant usage on schema {schema} to hw_{schema}_owner".encode())
        for table in ("outbox", "inbox"):
            source.connection.execute(f"alter table {schema}.{table} owner to hw_{schema}_owner".encode())


def owner_dsn(source: SourceDatabase, service: str) -> str:
    role = f"hw_{service}_owner"
    return source.cluster.dsn(source.name, user=role, password=PASSWORDS[role])


def run_purge(
    source: SourceDatabase, stream: StreamDatabase, timeout: float = BEHIND_TIMEOUT, first: tuple[Service, ...] = ()
) -> dict[str, Purged]:
    services = [*first, *(Service(name, "headwater", owner_dsn(source, name)) for name in PRODUCERS)]
    with psycopg.connect(stream.dsn("hw_dispatch"), autocommit=True) as connection:
        found = purge(services, connection, retention=timedelta(days=14), timeout=timeout)
    return {purged.service: purged for purged in found}


def age(source: SourceDatabase, event: uuid.UUID, days: int) -> None:
    source.connection.execute(
        "update contacts.outbox set occurred_at = now() - make_interval(days => %s) where id = %s", [days, event]
    )


def kept(source: SourceDatabase) -> set[uuid.UUID]:
    return {row["id"] for row in source.connection.execute("select id from contacts.outbox")}


def test_rows_go_when_they_are_old_and_dispatched(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    old, recent = source.emit(uuid.uuid4(), 1), source.emit(uuid.uuid4(), 1)
    age(source, old, 15)
    age(source, recent, 13)
    assert run_purge(source, stream)["contacts"] == Purged("contacts", 1, 0, None)
    assert kept(source) == {recent}


def test_rows_stay_while_dispatch_has_not_stored_them(
    source: SourceDatabase, stream: StreamDatabase, tmp_path: Path
) -> None:
    event = source.emit(uuid.uuid4(), 1)
    age(source, event, 15)
    assert run_purge(source, stream, timeout=0)["contacts"].waiting_for == (
        "dispatch of headwater, which has stored no position"
    )
    worker = DispatchThread(source, stream, tmp_path)
    eventually(lambda: bool(stream.rows("select 1 from stream.position")))
    worker.stop()
    source.emit(uuid.uuid4(), 1)
    assert "dispatch of headwater at" in str(run_purge(source, stream, timeout=0)["contacts"].waiting_for)
    (position,) = stream.rows("select system_id from stream.position")
    stream.rows("update stream.position set system_id = '1' returning 1")
    assert "of cluster 1, not" in str(run_purge(source, stream, timeout=0)["contacts"].waiting_for)
    stream.rows("update stream.position set system_id = %s returning 1", position["system_id"])
    drop_slot(source.dsn, source.slot)
    stream.rows("update stream.position set lsn = 'FFFFFFFF/0' returning 1")
    assert "does not exist" in str(run_purge(source, stream, timeout=0)["contacts"].waiting_for)
    assert event in kept(source)


def test_rows_stay_while_another_slot_of_the_database_is_behind(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    landing = f"landing_{source.name}"
    create_slot(source.dsn, landing)
    try:
        event = source.emit(uuid.uuid4(), 1)
        age(source, event, 15)
        (now,) = source.connection.execute("select pg_current_wal_insert_lsn() - '0/0' as lsn").fetchall()
        with (
            psycopg.connect(owner_dsn(source, "contacts"), autocommit=True) as owner,
            psycopg.connect(stream.dsn("hw_dispatch"), autocommit=True) as dispatched,
        ):
            # Dispatch passes this position, so that in the end the other slot alone is behind it.
            eventually(
                lambda: f"slot {landing} at" in str(_reader_behind(owner, dispatched, "headwater", int(now["lsn"])))
            )
        assert run_purge(source, stream, timeout=0)["contacts"].waiting_for is not None
        assert event in kept(source)
    finally:
        drop_slot(source.dsn, landing)
    assert run_purge(source, stream)["contacts"].outbox == 1


def test_inbox_rows_go_with_their_events_unless_one_still_waits(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    """An event that two consumers of a service want may be applied by one and parked for the other."""
    stream.subscribe("finance", "ACCOUNT_UPDATED")
    parked, applied, recent = (source.emit(uuid.uuid4(), 1) for _ in range(3))
    eventually(lambda: len(stream.rows("select 1 from stream.delivery")) == 3)
    stream.rows("select stream.done('finance', %s)", [applied, recent])
    stream.rows("update stream.delivery set occurred_at = now() - interval '15 days' returning 1")
    for event, days in ((parked, 15), (applied, 15), (recent, 13)):
        age(source, event, days)
        source.connection.execute(
            "insert into finance.inbox values ('finance.replica', %s, now() - make_interval(days => %s))", [event, days]
        )
    purged = run_purge(source, stream)
    assert (purged["contacts"].outbox, purged["finance"].inbox) == (2, 1)
    rows = source.connection.execute("select event_id from finance.inbox").fetchall()
    assert {row["event_id"] for row in rows} == {parked, recent}


def test_no_inbox_row_goes_while_an_outbox_could_not_be_purged(source: SourceDatabase, stream: StreamDatabase) -> None:
    event = source.emit(uuid.uuid4(), 1)
    age(source, event, 15)
    source.connection.execute("insert into finance.inbox values ('x', %s, now() - interval '15 days')", [event])
    assert run_purge(source, stream, timeout=0)["finance"].inbox == 0


def test_a_service_whose_database_is_away_keeps_nobody_elses_rows(
    source: SourceDatabase, stream: StreamDatabase, dispatching: DispatchThread
) -> None:
    old = source.emit(uuid.uuid4(), 1)
    age(source, old, 15)
    nowhere = f"postgresql://hw_hr_owner@127.0.0.1:{free_port()}/hr?connect_timeout=3"
    purged = run_purge(source, stream, first=(Service("hr", "hr", nowhere),))
    assert purged["contacts"] == Purged("contacts", 1, 0, None)
    assert (purged["hr"].outbox, "its database (" in str(purged["hr"].waiting_for)) == (0, True)
