"""Files deleted by hand: named, loaded again from the change log, or refused with what is lost."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from pipelines.lake.errors import LakeLost
from pipelines.lake.housekeeping import compact, expire
from pipelines.lake.loader import drain, load
from pipelines.lake.repairing import FAILPOINTS, lost_files, repair
from pipelines.lake.retention import verify
from tests.lakes import LakeSide, killed_at
from tests.mirror import put
from tests.pipelines.lake.test_retention import today
from warehouse.lake.errors import LakeUnavailable

ONE = uuid.uuid4()


def fill(side: LakeSide) -> None:
    for n in range(4):
        side.stream.commit(
            put("contacts.account", account_uuid=ONE, name=f"Acme {n}"),
            put("contacts.contact", id=ONE, last_name=f"Lee {n}"),
            actor="Alice",
        )
        load(side.lake)


def delete_one(side: LakeSide, of: str) -> None:
    next(path for path in side.files() if of in str(path)).unlink()


@pytest.mark.parametrize("of", ["table_name=account", "log/transactions", "log/ranges"])
def test_a_lost_file_is_named_and_loaded_again(side: LakeSide, of: str) -> None:
    fill(side)
    delete_one(side, of)
    (lost,) = lost_files(side.lake, side.owner)
    assert of in str(lost)
    with pytest.raises(LakeUnavailable):
        side.query(f"select * from lake.log.{lost.table}")
    assert list(repair(side.lake)) != []
    assert lost_files(side.lake, side.owner) == []
    assert verify(side.lake, today()) == []
    assert side.difference() == []
    side.stream.commit(put("contacts.account", account_uuid=ONE, name="Acme 9"))
    drain(side.lake)
    assert side.difference() == []
    assert list(repair(side.lake)) == []


def test_every_file_lost_at_once(side: LakeSide) -> None:
    fill(side)
    compact(side.lake, files=2)
    expire(side.lake, keep=0)
    for path in side.files():
        path.unlink()
    list(repair(side.lake))
    assert side.difference() == []
    assert side.count() == (8, 8)
    assert verify(side.lake, today()) == []


def test_what_the_change_log_holds_no_more_is_refused_by_name_until_it_is_given_up(side: LakeSide) -> None:
    fill(side)
    delete_one(side, "table_name=account")
    side.log("delete from log.change_log where table_name = 'account'")
    with pytest.raises(LakeLost, match=r"1 rows of contacts.account, \d{4}-\d\d-\d\d, batches \d+ to \d+") as caught:
        list(repair(side.lake))
    assert "--forget" in str(caught.value)
    assert len(lost_files(side.lake, side.owner)) == 1, "nothing was changed"
    told = list(repair(side.lake, forget=True))
    assert told[0].startswith("given up")
    assert side.query("select table_name, count(*) from lake.log.changes group by 1 order by 1") == [
        ("account", 3),
        ("contact", 4),
    ]


def test_rows_that_somebody_took_out_or_bent_are_loaded_again(side: LakeSide) -> None:
    fill(side)
    with side.lake.open(writable=True) as session:
        session.execute("delete from lake.log.changes where after ->> 'last_name' = 'Lee 1'")
        session.execute("update lake.log.changes set after = '{}' where after ->> 'name' = 'Acme 2'")
    assert len(verify(side.lake, today())) == 2
    list(repair(side.lake))
    assert verify(side.lake, today()) == []


@pytest.mark.parametrize("point", FAILPOINTS)
def test_killed_in_the_middle_the_next_repair_ends_it(side: LakeSide, point: str) -> None:
    fill(side)
    delete_one(side, "table_name=contact")
    killed_at(point, side.lake, "from pipelines.lake.repairing import repair; list(repair(lake))")
    list(repair(side.lake))
    assert verify(side.lake, today()) == []
    assert side.difference() == []
    with psycopg.connect(side.lake.log) as log:
        assert log.execute("select count(*) from ops.lake_restoring").fetchone() == (0,)
