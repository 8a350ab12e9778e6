"""The mirror rebuilt from the lake alone is the mirror that landing made: rows, versions, deleted rows, and all."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from pipelines.lake.loader import drain
from pipelines.lake.rebuilding import FAILPOINTS, rebuild_mirrors
from tests.lakes import killed_at, lake_of
from tests.pipelines.landing.conftest import database, prompt_stop, stage, target, warehouse_template
from tests.pipelines.landing.stage import Stage, WarehouseDatabase
from warehouse.digests import mirrors
from warehouse.lake.history import find, history
from warehouse.lake.place import Lake

__all__ = ["database", "prompt_stop", "stage", "target", "warehouse_template"]

TABLES = """
create schema stock;
create type stock.size as (w int, h int);
create table stock.item (id int primary key, name text, price numeric(10, 2), note text, box stock.size, tags text[]);
alter table stock.item replica identity full;
alter table stock.item alter note set storage external;
create table stock.move (id int primary key, qty int, note text);
alter table stock.move alter note set storage external;
create table stock.part (a int, b text, n numeric, primary key (a, b));
alter table stock.part replica identity full;
insert into stock.item (id, name) select n, 'item ' || n from generate_series(1, 50) n;
insert into stock.part select n, 'x' || n, 'NaN' from generate_series(1, 5) n
"""
LIFE = [
    "update stock.item set price = id / 3.0, box = row(id, 2), tags = array['a\"b', null, '{}'] where id < 20",
    "delete from stock.item where id > 40",
    "update stock.item set id = -id where id between 30 and 33",
    "insert into stock.item values (40 + 1, 'back', 1, repeat('n', 9000), null, '{}')",
    "update stock.item set name = 'kept' where id = 41",
    "insert into stock.move select n, n, repeat('m', 9000) from generate_series(1, 5) n",
    "update stock.move set qty = 0 where id < 3",
    "update stock.move set note = null where id = 4",
    "update stock.part set b = 'moved' where a = 1",
    "truncate stock.part",
    "insert into stock.part values (7, 'new', 1.50)",
    "alter table stock.item rename column name to label",
    "alter table stock.item add column extra int default 5",
    "update stock.item set label = 'renamed' where id = 2",
    "alter table stock.item drop column price",
    "update stock.item set extra = 6 where id = 3",
    "alter table stock.move rename to movement",
    "insert into stock.movement values (9, 9, 'after')",
]


@pytest.fixture
def lake(warehouse: Cluster, target: WarehouseDatabase, tmp_path: Path) -> Lake:
    return lake_of(warehouse, target.name, tmp_path)


@pytest.fixture
def lived(stage: Stage) -> Stage:
    stage.prepare(*TABLES.strip().split(";\n"), publish=("stock.item", "stock.move", "stock.part"))
    stage.streaming()
    for statement in LIFE:
        stage.database.run(statement)
    stage.settled()
    return stage


def digests(stage: Stage) -> dict[str, tuple[int, int]]:
    with stage.target.connect() as connection:
        return mirrors(connection)


def assert_as_the_source(stage: Stage) -> None:
    stage.assert_equal("stock.movement", "stock.part")
    columns = "id, label, note, tags, extra"
    assert stage.target.run(
        f"select {columns} from raw_stock.item where not _deleted order by id"
    ) == stage.database.run(f"select {columns} from stock.item order by id")


def test_the_mirror_is_the_same_after_it_was_thrown_away(lived: Stage, lake: Lake) -> None:
    before = digests(lived)
    rows = {table: lived.mirror_rows(table) for table in ("stock.item", "stock.movement", "stock.part")}
    drain(lake)
    lived.target.run(
        "update raw_stock.item set label = 'spoiled'",
        "delete from raw_stock.movement",
        "drop table raw_stock.part",
        "delete from log.change_log",
    )
    done = list(rebuild_mirrors(lake))
    assert {r.table for r in done} == {"stock.item", "stock.movement", "stock.part"}
    for table, found in rows.items():
        assert lived.mirror_rows(table) == found
    assert digests(lived) == before
    assert_as_the_source(lived)


def test_a_row_whose_key_changed_has_its_history_under_both(lived: Stage, lake: Lake) -> None:
    drain(lake)
    with lived.target.connect() as log:
        before, after = (history(log, lake, find(log, f"stock.item/{key}")) for key in (30, -30))
        stands = history(log, lake, find(log, "stock.item/29"))
        deleted = history(log, lake, find(log, "stock.item/45"))
    assert [version.change.op for version in before.versions] == ["r"]
    moved = after.versions[0].change
    assert before.gone_since == moved.committed_at
    assert after.versions[0].fields["id"] == ("30", "-30")
    assert after.gone_since is stands.gone_since is deleted.gone_since is None
    assert deleted.versions[-1].state is None


def test_what_is_written_meanwhile_lands_afterwards(lived: Stage, lake: Lake) -> None:
    rebuilding = rebuild_mirrors(lake)
    next(rebuilding)
    lived.database.run("update stock.item set label = 'mean' where id = 5", "insert into stock.part values (8, '', 1)")
    list(rebuilding)
    lived.settled()
    assert_as_the_source(lived)
    lived.assert_each_change_once()


@pytest.mark.parametrize("point", FAILPOINTS)
def test_killed_in_the_middle_the_old_mirror_stands_and_the_next_try_is_whole(
    lived: Stage, lake: Lake, point: str
) -> None:
    before = digests(lived)
    killed_at(point, lake, "from pipelines.lake.rebuilding import rebuild_mirrors; list(rebuild_mirrors(lake))")
    lived.wait_for(lambda: _unlocked(lived), "the dead session's locks")
    assert digests(lived) == before
    lived.database.run("update stock.item set label = 'after' where id = 5")
    lived.settled()
    assert_as_the_source(lived)
    after = digests(lived)
    list(rebuild_mirrors(lake))
    assert digests(lived) == after


def _unlocked(stage: Stage) -> bool:
    try:
        stage.target.run("select from log.position for update nowait")
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def test_rows_that_a_repair_did_not_find_again_stay_deleted(lived: Stage, lake: Lake) -> None:
    from pipelines.landing.repair import repair

    lived.stop()
    lived.database.run("delete from stock.item where id = 7", "update stock.item set label = 'repaired' where id = 8")
    repair(lived.source, lived.target.dsn)
    lived.streaming()
    lived.settled()
    rows = lived.mirror_rows("stock.item")
    list(rebuild_mirrors(lake))
    assert lived.mirror_rows("stock.item") == rows
    assert_as_the_source(lived)
    flagged = "select count(*) from raw_stock.item where _deleted"
    assert lived.target.run(flagged) != [(0,)]
