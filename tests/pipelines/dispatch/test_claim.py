"""What the stream database hands out: in order, once, and never past an event that its aggregate waits for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.pipelines.dispatch.stream_database import StreamDatabase

Connection = psycopg.Connection[dict[str, Any]]


def claim(connection: Connection, consumer: str = "finance", most: int = 500, lease: int = 60) -> list[uuid.UUID]:
    rows = connection.execute("select event_id from stream.claim(%s, %s, %s)", [consumer, most, lease])
    return [row["event_id"] for row in rows]


def done(connection: Connection, *events: uuid.UUID, consumer: str = "finance") -> int:
    row = connection.execute("select stream.done(%s, %s) as n", [consumer, list(events)]).fetchone()
    assert row
    return int(row["n"])


def fail(connection: Connection, event: uuid.UUID, *, attempts: int = 6, base: float = 1.0) -> str:
    row = connection.execute(
        "select stream.fail('finance', %s, 'no such currency', %s, %s) as verdict", [event, attempts, base]
    ).fetchone()
    assert row
    return str(row["verdict"])


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def test_events_are_claimed_in_order_until_they_are_done(stream: StreamDatabase) -> None:
    a, b = uuid.uuid4(), uuid.uuid4()
    events = stream.deliver("finance", [a, b, a, b])
    with stream.connect("hw_finance") as worker:
        assert claim(worker, most=3) == events[:3]
        assert claim(worker, most=3) == events[:3], "what was not done is claimed again"
        assert done(worker, *events[:3]) == 3
        assert claim(worker) == events[3:]
        assert done(worker, *events) == 1, "an event that ended is done without complaint"
        assert claim(worker) == []


def test_a_claim_is_at_most_500_events(stream: StreamDatabase) -> None:
    stream.deliver("finance", [uuid.uuid4() for _ in range(501)])
    with stream.connect("hw_finance") as worker:
        assert len(claim(worker, most=100_000)) == 500


def test_only_one_worker_claims_and_the_next_follows_when_its_session_ends(stream: StreamDatabase) -> None:
    events = stream.deliver("finance", [uuid.uuid4() for _ in range(3)])
    with stream.connect("hw_finance") as second:
        with stream.connect("hw_finance") as first:
            assert claim(first) == events
            assert claim(second) == []
            assert fail(second, events[0]) == "ignored"
        eventually(lambda: claim(second) == events)


def test_a_worker_that_hangs_loses_its_lease(stream: StreamDatabase) -> None:
    events = stream.deliver("finance", [uuid.uuid4() for _ in range(2)])
    with stream.connect("hw_finance") as hung, stream.connect("hw_finance") as second:
        assert claim(hung) == events
        assert claim(second) == []
        stream.rows("update stream.lease set held_until = now() returning 1")
        assert claim(second) == events
        assert claim(hung) == [], "the lease is the other's now"
        assert fail(hung, events[0]) == "ignored"
        assert done(hung, events[0]) == 1, "what it did apply is done"
        assert claim(second) == events[1:]


def test_consumers_do_not_touch_each_other(stream: StreamDatabase) -> None:
    account = uuid.uuid4()
    (for_finance,) = stream.deliver("finance", [account])
    (for_orders,) = stream.deliver("orders", [account])
    with stream.connect("hw_finance") as finance, stream.connect("hw_orders") as orders:
        assert claim(finance) == [for_finance]
        assert fail(finance, for_finance, attempts=1) == "parked"
        assert claim(orders, "orders") == [for_orders]


def test_a_failed_event_holds_its_aggregate_and_nothing_else(stream: StreamDatabase) -> None:
    a, b = uuid.uuid4(), uuid.uuid4()
    a1, b1, a2, b2 = stream.deliver("finance", [a, b, a, b])
    with stream.connect("hw_finance") as worker:
        claim(worker)
        assert fail(worker, a1, base=3600) == "retry"
        assert claim(worker) == [b1, b2]
        (a3,) = stream.deliver("finance", [a])
        (other_producer,) = stream.deliver("finance", [a], producer="orders")
        assert claim(worker) == [b1, b2, other_producer], "late arrivals stand behind it too"
        done(worker, b1, b2, other_producer)
        assert claim(worker) == []
        assert done(worker, a1) == 1, "the hung worker that held it before did apply it"
        assert claim(worker) == [a2, a3]


def test_a_failed_event_returns_after_its_delay_with_its_successors_in_order(stream: StreamDatabase) -> None:
    a = uuid.uuid4()
    events = stream.deliver("finance", [a, a, a])
    with stream.connect("hw_finance") as worker:
        assert claim(worker) == events
        assert fail(worker, events[0], base=0.05) == "retry"
        late = stream.deliver("finance", [a])
        eventually(lambda: claim(worker) == events + late)


def test_delays_double_up_to_five_minutes(stream: StreamDatabase) -> None:
    (event,) = stream.deliver("finance", [uuid.uuid4()])
    with stream.connect("hw_finance") as worker:
        claim(worker)
        for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
            (before,) = stream.rows("select clock_timestamp() as now")
            assert fail(worker, event, attempts=12) == "retry"
            (after,) = stream.rows("select clock_timestamp() as now, next_attempt_at from stream.delivery")
            delay = timedelta(seconds=seconds)
            assert before["now"] + delay <= after["next_attempt_at"] <= after["now"] + delay
        assert fail(worker, event, attempts=12) == "parked"


def test_a_parked_event_waits_for_replay(stream: StreamDatabase) -> None:
    a, b = uuid.uuid4(), uuid.uuid4()
    a1, b1, a2 = stream.deliver("finance", [a, b, a])
    with stream.connect("hw_finance") as worker:
        claim(worker)
        for expected in ("retry", "retry", "parked"):
            assert fail(worker, a1, attempts=3, base=0) == expected
        assert claim(worker) == [b1]
        (status,) = stream.rows("select * from stream.status where consumer = 'finance'")
        assert (status["pending"], status["parked"], status["behind"]) == (3, 1, 1)
        (parked,) = stream.rows("select * from stream.parked")
        assert (parked["event_id"], parked["behind"], parked["attempts"]) == (a1, 1, 3)
        assert parked["last_error"] == "no such currency"

        assert stream.rows("select stream.replay('finance', p_aggregate_id => %s) as n", b)[0]["n"] == 0
        assert stream.rows("select stream.replay('finance', p_aggregate_id => %s) as n", a)[0]["n"] == 2
        assert claim(worker) == [a1, b1, a2]
        assert fail(worker, a1, attempts=2) == "retry", "replay counts attempts anew"
        assert worker.execute("select stream.replay('finance', %s) as n", [a2]).fetchone() == {"n": 2}
        assert claim(worker) == [a1, b1, a2]
        assert fail(worker, a1, attempts=1) == "parked"
        assert worker.execute("select stream.replay('finance') as n").fetchone() == {"n": 2}
        assert claim(worker) == [a1, b1, a2]


@pytest.mark.parametrize("analysed", ["never", "while empty"])
def test_claiming_reads_no_more_than_it_hands_out_behind_a_long_queue(analysed: str, stream: StreamDatabase) -> None:
    """200,000 rows wait, some behind one parked event that is the oldest of all, and the statistics know nothing."""
    if analysed == "while empty":
        with stream.cluster.connect(stream.name) as superuser:
            superuser.execute("vacuum analyze stream.delivery")
    poison = uuid.uuid4()
    (first,) = stream.deliver("finance", [poison])
    stream.rows(
        "insert into stream.delivery (consumer, event_id, source, producer, aggregate_type, aggregate_id,"
        " aggregate_version, type, schema_version, payload, occurred_at)"
        " select 'finance', gen_random_uuid(), 'headwater', 'contacts', 'account',"
        " case when n <= 20000 then %s else gen_random_uuid() end, n, 'ACCOUNT_UPDATED', 1, '{}', now()"
        " from generate_series(1, 200000) n returning 1",
        poison,
    )
    with stream.connect("hw_finance") as worker:
        claim(worker, most=1)
        assert fail(worker, first, attempts=1) == "parked"
        worker.execute("select pg_stat_force_next_flush()")
        with stream.connect() as owner:
            before = _reads(owner)
        for _ in range(3):
            events = claim(worker)
            assert len(events) == 500
            assert done(worker, *events) == 500
        worker.execute("select pg_stat_force_next_flush()")
        with stream.connect() as owner:
            after = _reads(owner)
    assert after["seq_scan"] == before["seq_scan"]
    # Candidates, the claim itself and the deletion touch a row once each; dead entries at the front are met once more.
    assert after["fetched"] - before["fetched"] < 3 * 500 * 6


def _reads(connection: Connection) -> dict[str, int]:
    row = connection.execute(
        "select t.seq_scan, sum(i.idx_tup_fetch)::bigint + t.idx_tup_fetch as fetched"
        " from pg_stat_user_tables t join pg_stat_user_indexes i using (relid)"
        " where t.relname = 'delivery' group by t.seq_scan, t.idx_tup_fetch"
    ).fetchone()
    assert row
    return row
