"""A day of the change log is dropped when, and only when, every row of it stands in the lake."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

import pytest

from pipelines.lake.errors import Unverified
from pipelines.lake.loader import drain
from pipelines.lake.retention import KEEP_DAYS, drop_verified, verify
from tests.lakes import LakeSide, age, killed_at
from tests.mirror import delete, put
from warehouse.change_log import partition_name

ONE, TWO = uuid.uuid4(), uuid.uuid4()


def today() -> date:
    return datetime.now(UTC).date()


def old_day(side: LakeSide) -> date:
    side.stream.commit(
        put("contacts.account", account_uuid=ONE, name="Acme"),
        put("contacts.contact", id=TWO, last_name="Lee"),
        actor="Alice",
    )
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme Ltd"), actor="Bob")
    side.stream.commit(delete("contacts.contact", id=TWO))
    return age(side.owner, KEEP_DAYS + 1)


def partitions(side: LakeSide) -> list[str]:
    return [
        name
        for (name,) in side.log(
            "select relname::text from pg_inherits join pg_class on pg_class.oid = inhrelid"
            " where inhparent = 'log.change_log'::regclass"
        )
    ]


def test_a_day_past_keeping_is_dropped_once_it_is_in_the_lake_and_stays_readable_there(side: LakeSide) -> None:
    day = old_day(side)
    assert verify(side.lake, day) != [], "nothing of it was loaded yet"
    assert drop_verified(side.lake) == [day]
    assert partition_name(day) not in partitions(side)
    assert partition_name(today()) in partitions(side)
    assert side.count() == (4, 0)
    assert side.query("select count(*) from lake.log.transactions") == [(2,)]
    assert drop_verified(side.lake) == []


def test_younger_days_stay(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"))
    age(side.owner, KEEP_DAYS)
    drain(side.lake)
    assert drop_verified(side.lake) == []
    assert side.count() == (1, 1)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("delete from lake.log.changes where op = 'd'", "1 in the change log, 0 in the lake"),
        ("update lake.log.changes set after = '{}' where table_name = 'contact' and op = 'u'", "other contents"),
        ("insert into lake.log.changes select * from lake.log.changes where op = 'd'", "1 in the change log, 2 in"),
        ("delete from lake.log.transactions where actor_name = 'Bob'", "audit messages"),
    ],
)
def test_a_day_that_differs_by_one_row_is_kept_and_the_difference_named(side: LakeSide, harm: str, told: str) -> None:
    day = old_day(side)
    drain(side.lake)
    with side.lake.open(writable=True) as session:
        session.execute(harm)
    with pytest.raises(Unverified, match=told):
        drop_verified(side.lake)
    assert partition_name(day) in partitions(side)


@pytest.mark.parametrize("point", ["lake.before_drop", "lake.after_drop"])
def test_killed_around_the_drop_nothing_is_lost(side: LakeSide, point: str) -> None:
    day = old_day(side)
    killed_at(point, side.lake, "retention.drop_verified(lake)")
    drop_verified(side.lake)
    assert partition_name(day) not in partitions(side)
    assert side.count() == (4, 0)
    assert len(side.query("select distinct xid, seq, lsn from lake.log.changes")) == 4


def test_dimensions_keep_the_changes_that_they_are_made_of(side: LakeSide) -> None:
    old_day(side)
    drop_verified(side.lake)
    assert side.log("select table_name, count(*) from ops.dimension_changes group by 1") == [("account", 2)]
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme plc"))
    assert side.log("select after ->> 'name' from ops.dimension_changes order by epoch_began, lsn, seq") == [
        ("Acme",),
        ("Acme Ltd",),
        ("Acme plc",),
    ]


def test_dropped_days_are_written_down_with_their_last_commit(side: LakeSide) -> None:
    day = old_day(side)
    last = side.log("select max(committed_at) from log.change_log")
    assert side.log("select count(*) from log.dropped_day") == [(0,)]
    drop_verified(side.lake)
    assert side.log("select landed_on, last_committed_at from log.dropped_day") == [(day, last[0][0])]


def test_watermarks_survive(side: LakeSide) -> None:
    old_day(side)
    side.log("delete from log.queue where consumer <> 'lake'")
    before = side.log("select source, batch_id from ops.refreshed")
    side.log("update log.batch set landed_at = landed_at - interval '1 day'")
    drop_verified(side.lake)
    assert side.log("select source, batch_id from ops.refreshed") == before
    assert side.log("select count(*) from log.batch") == [(1,)]
