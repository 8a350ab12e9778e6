"""Few files, whatever is killed while they are merged; and readers who began before notice nothing."""

from __future__ import annotations

import uuid

import pytest

from pipelines.lake.housekeeping import CROWD, compact, crowded, expire
from pipelines.lake.loader import load
from tests.lakes import LakeSide, killed_at
from tests.mirror import put
from warehouse.lake.place import value

ONE = uuid.uuid4()


def many_loads(side: LakeSide, loads: int = CROWD) -> None:
    for n in range(loads):
        side.stream.commit(put("contacts.account", account_uuid=ONE, name=f"Acme {n}"), actor="Alice")
        load(side.lake)


def test_small_files_of_a_day_are_merged_and_the_old_ones_deleted_once_nobody_reads_them(side: LakeSide) -> None:
    many_loads(side)
    assert crowded(side.owner) == ["changes", "ranges", "transactions"]
    assert len(side.files()) == 3 * CROWD
    assert compact(side.lake) == 3 * CROWD
    assert crowded(side.owner) == []
    assert len(side.files()) == 3 * CROWD + 3, "what merging replaced stays for readers that began before"
    expire(side.lake, keep=3600)
    assert len(side.files()) == 3 * CROWD + 3
    assert expire(side.lake, keep=0).files == 3 * CROWD
    assert len(side.files()) == 3
    assert side.difference() == []


def test_merging_goes_on_after_merging(side: LakeSide) -> None:
    for _ in range(3):
        many_loads(side)
        compact(side.lake)
        expire(side.lake, keep=0)
    assert len(side.files()) <= 6
    assert side.difference() == []
    assert side.count() == (3 * CROWD, 3 * CROWD)


def test_a_reader_sees_the_lake_as_it_was_when_the_reader_began(side: LakeSide) -> None:
    many_loads(side)
    with side.lake.open() as session:
        session.execute("begin")
        assert value(session, "select count(*) from lake.log.changes") == CROWD
        many_loads(side, 1)
        compact(side.lake)
        expire(side.lake, keep=60)
        assert value(session, "select count(*) from lake.log.changes") == CROWD
        assert value(session, "select count(distinct after) from lake.log.changes") == CROWD


@pytest.mark.parametrize("point", ["lake.before_merge", "lake.after_merge", "lake.after_expire"])
def test_killed_anywhere_in_housekeeping_nothing_is_lost_or_doubled(side: LakeSide, point: str) -> None:
    many_loads(side)
    killed_at(point, side.lake, "housekeeping.compact(lake); housekeeping.expire(lake, keep=0)")
    assert side.difference() == []
    compact(side.lake)
    expire(side.lake, keep=0)
    assert side.difference() == []
    assert len(side.files()) <= 5


def test_files_of_a_killed_load_are_deleted_in_time(side: LakeSide) -> None:
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme"))
    killed_at("lake.written", side.lake, "loader.load(lake)")
    left = side.files()
    load(side.lake)
    expire(side.lake)
    assert set(left) <= set(side.files()), "a file may be a load's that is still under way"
    expire(side.lake, orphaned=0)
    assert not set(left) & set(side.files())
    assert side.difference() == []
