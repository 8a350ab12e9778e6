"""Landing is killed at every point where it may die; afterwards mirror = source and each change was logged once."""

from __future__ import annotations

import signal

import pytest

from pipelines.landing import FAILPOINTS
from tests.pipelines.landing.process import arguments, spawn
from tests.pipelines.landing.stage import Stage

TABLES = """
create schema stock;
create table stock.item (id int primary key, name text, price numeric(10,2));
alter table stock.item replica identity full;
create table stock.bin (id int primary key, name text);
insert into stock.item select n, 'item ' || n, n from generate_series(1, 6000) n;
insert into stock.bin select n, 'bin ' || n from generate_series(1, 10) n
"""
WRITES = (
    "insert into stock.item select n, 'new', n from generate_series(10001, 10050) n",
    "update stock.item set name = name || '!' where id % 100 = 0",
    "delete from stock.item where id between 100 and 200",
    "select pg_logical_emit_message(true, 'headwater.audit', '{\"command\": \"stock.count\"}')",
    "update stock.item set id = -id where id < 50",
)
ALTERATIONS = (
    "alter table stock.item add column colour text default 'red'",
    "alter table stock.item alter price type bigint using (price * 100)::bigint",
)
# More than the reader keeps in memory, so that it comes from disk in segments.
LARGE = "insert into stock.item (id, name) select n, 'large' from generate_series(100001, 160000) n"


@pytest.mark.parametrize("point", [p for p in FAILPOINTS if not p.startswith("repair.")])
def test_killed_at(stage: Stage, point: str) -> None:
    stage.prepare(TABLES, publish=("stock.item", "stock.bin"))
    stage.target.run("create schema staging")
    given = arguments(stage.source, stage.target.dsn, stage.heartbeat_file)
    early = point.startswith("snapshot.")
    if early:
        # The second passage, where there is one: the first chunk is stored by then.
        nth = 1 if point.endswith("epoch") else 2
        process = spawn(given, failpoint=f"{point}:{nth}")
        assert process.wait(60) == -signal.SIGKILL
        stage.database.run(*WRITES)
        stage.start()
    else:
        stage.streaming()
        stage.stop()
        process = spawn(given, failpoint=point)
        stage.target.run("create view staging.item as select id, price from raw_stock.item")
        stage.database.run(*WRITES, *ALTERATIONS, *([LARGE] if point.startswith("spool.") else []))
        assert process.wait(60) == -signal.SIGKILL
        stage.database.run("insert into stock.item (id) values (7777777)")
        stage.start()
    stage.settled()
    stage.assert_equal("stock.item", "stock.bin")
    stage.assert_each_change_once()
    assert stage.target.run("select count(*), count(distinct command) from log.transactions") == [(1, 1)]


@pytest.mark.parametrize("point", [p for p in FAILPOINTS if p.startswith("repair.")])
def test_repair_killed_at(stage: Stage, point: str) -> None:
    stage.prepare(TABLES, publish=("stock.item", "stock.bin"))
    stage.streaming()
    stage.stop()
    stage.database.run(*WRITES, f"select pg_drop_replication_slot('{stage.database.slot}')")
    given = arguments(stage.source, stage.target.dsn, stage.heartbeat_file, action="repair")
    assert spawn(given, failpoint=point).wait(60) == -signal.SIGKILL
    assert spawn(given).wait(60) == 0
    stage.start()
    stage.settled()
    stage.assert_equal("stock.item", "stock.bin")
    stage.assert_each_change_once()
