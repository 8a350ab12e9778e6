"""A database server is lost and its standby takes over: landing goes on where it was, if nothing can be missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cdc import ddl
from cdc.sources import polled
from tests.cdc.database import make_database
from tests.pipelines.landing.stage import Stage, WarehouseDatabase
from tests.standby import Pair

POSITION = "select timeline, (select count(*) from log.epoch) from log.position where source = 'test'"
WHY = "select state, error from log.source_state where source = 'test'"


@pytest.fixture
def stage(pair: Pair, target: WarehouseDatabase, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(make_database(pair.primary, tmp_path / "spool"), target)
    made.prepare("create table item (id int primary key, name text)", publish=("public.item",))
    yield made
    made.close()


def insert(stage: Stage, first: int, last: int) -> None:
    for number in range(first, last + 1):
        stage.database.run(f"insert into item values ({number}, 'row {number}')")


def stream(stage: Stage, pair: Pair, rows: int) -> None:
    """Lands that many rows, and waits until the standby would go on from there."""
    stage.streaming()
    insert(stage, 1, rows)
    stage.caught_up()
    pair.keeps(stage.database.name, stage.database.slot)


@pytest.mark.parametrize("address_kept", [True, False], ids=["the old address", "another address"])
def test_a_promoted_standby_is_landed_from_where_the_old_server_was_left(
    stage: Stage, pair: Pair, address_kept: bool
) -> None:
    stream(stage, pair, 20)
    stage.stop()
    # Committed and not landed when the server goes; the standby has it.
    insert(stage, 21, 30)
    stage.database.run("update item set name = 'renamed' where id = 5", "delete from item where id = 6")
    pair.follows()
    stage.start()
    stage.caught_up()
    insert(stage, 31, 40)
    pair.follows()
    stage.database.cluster = pair.fail_over(address_kept=address_kept)
    if not address_kept:
        stage.stop()
        stage.start()
    insert(stage, 41, 50)
    stage.caught_up()
    assert stage.mirror_rows("public.item") == stage.source_rows("public.item")
    assert len(stage.mirror_rows("public.item")) == 49
    logged = "select op, count(*), count(distinct lsn) from log.change_log group by op order by op"
    assert stage.target.run(logged) == [("c", 50, 50), ("d", 1, 1), ("u", 1, 1)]
    assert stage.target.run(POSITION) == [(2, 1)], "the second timeline of the first epoch"


def test_a_source_that_is_polled_goes_on_as_well(stage: Stage, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polled, "POLL_SECONDS", 0.2)
    with psycopg.connect(stage.database.dsn, autocommit=True) as connection:
        ddl.remove(connection)
    stream(stage, pair, 5)
    pair.follows()
    stage.database.cluster = pair.fail_over()
    stage.database.run("alter table item add note text", "insert into item values (6, 'row 6', 'noted')")
    stage.settled()
    columns = "select count(*) from item where note = 'noted'"
    assert stage.database.run(columns) == [(1,)]
    assert stage.mirror_rows("public.item") == stage.source_rows("public.item")
    assert stage.target.run(POSITION) == [(2, 1)]


@pytest.mark.parametrize("pair", [False], indirect=True)
def test_a_standby_that_lacks_what_was_landed_is_a_gap_that_is_named(stage: Stage, pair: Pair) -> None:
    stream(stage, pair, 10)
    pair.follows()
    pair.stop_following()
    insert(stage, 11, 20)
    stage.caught_up()
    stage.database.cluster = pair.fail_over()
    assert len(stage.source_rows("public.item")) == 10
    stage.wait_for(lambda: stage.target.run(WHY)[0][0] == "stopped", "landing to stop")
    ((_, why),) = stage.target.run(WHY)
    assert "timeline=1" in why
    assert "timeline=2" in why
    assert "headwater repair test" in why
    assert len(stage.mirror_rows("public.item")) == 20, "nothing is changed before somebody says so"
