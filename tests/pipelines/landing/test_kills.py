"""Landing is killed at every point where it may die; afterwards mirror = source and each change was logged once."""

from __future__ import annotations

import signal

import pytest

from cdc.slots import drop_slot
from pipelines.landing import FAILPOINTS
from tests.pipelines.landing.process import arguments, spawn
from tests.pipelines.landing.stage import Stage

TABLES = """
create schema stock;
create table stock.item (id int primary key, name text, price numeric(10,2));
alter table stock.item replica identity full;
create table stock.bin (id int primary key, name text);
create table stock.place (id int primary key, name text);
insert into stock.item select n, 'item ' || n, n from generate_series(1, 6000) n;
insert into stock.bin select n, 'bin ' || n from generate_series(1, 3000) n;
insert into stock.place select n, 'place ' || n from generate_series(1, 10) n
"""
PUBLISHED = ("stock.item", "stock.bin", "stock.place")
# More than the reader keeps in memory, so that it comes from disk in segments.
LARGE = "insert into stock.item (id, name) select {n} + n, 'large' from generate_series(100001, 155000) n"


def write(stage: Stage, n: int, *more: str) -> None:
    """One round of every kind of change, different in each round."""
    stage.database.run(
        f"insert into stock.item (id, name, price) select n, 'new', n from generate_series({n}0001, {n}0050) n",
        f"update stock.item set name = name || '!' where id % 100 = {n}",
        f"delete from stock.item where id between {n}00 and {n}20",
        f"select pg_logical_emit_message(true, 'headwater.audit', '{{\"command\": \"stock.count_{n}\"}}')",
        f"update stock.item set id = -id where id between {n}30 and {n}35",
        f"insert into stock.bin (id) values ({n}00000)",
        *more,
    )


def alterations(n: int) -> tuple[str, str]:
    kind = ("bigint using (price * 100)::bigint", "numeric(12,2) using price / 100.0")[n % 2]
    return (
        f"alter table stock.item add column c{n} text default 'red'",
        f"alter table stock.item alter price type {kind}",
    )


def assert_whole(stage: Stage, rounds: int) -> None:
    stage.settled()
    stage.assert_equal(*PUBLISHED)
    stage.assert_each_change_once()
    messages = stage.target.run("select count(*), count(distinct command) from log.transactions")
    assert messages == [(rounds, rounds)]


def test_the_stream_killed_at_every_point_one_after_the_other(stage: Stage) -> None:
    """Each process takes over what the one before it left, and dies at the next point."""
    stage.prepare(TABLES, publish=PUBLISHED)
    stage.streaming()
    stage.stop()
    stage.target.run("create schema staging", "create view staging.item as select id, price from raw_stock.item")
    given = arguments(stage.source, stage.target.dsn, stage.heartbeat_file)
    points = [p for p in FAILPOINTS if not p.startswith(("repair.", "snapshot."))]
    for n, point in enumerate(points, start=1):
        process = spawn(given, failpoint=point)
        altering = point.startswith(("ddl.", "reread."))
        more = alterations(n) if altering else (LARGE.format(n=n * 100_000),) if point.startswith("spool.") else ()
        write(stage, n, *more)
        assert process.wait(60) == -signal.SIGKILL, point
    stage.start()
    assert_whole(stage, len(points))
    assert stage.target.run("select count(*) > 0 from staging.item") == [(True,)]


def test_the_initial_load_killed_at_every_point_one_after_the_other(stage: Stage) -> None:
    stage.prepare(TABLES, publish=PUBLISHED)
    given = arguments(stage.source, stage.target.dsn, stage.heartbeat_file)
    points = [p for p in FAILPOINTS if p.startswith("snapshot.")]
    for n, point in enumerate(points, start=1):
        assert spawn(given, failpoint=point).wait(60) == -signal.SIGKILL, point
        write(stage, n)
    stage.start()
    stage.settled()
    stage.assert_equal(*PUBLISHED)
    stage.assert_each_change_once()


@pytest.mark.parametrize("point", [p for p in FAILPOINTS if p.startswith("repair.")])
def test_a_repair_killed_is_repaired_again(stage: Stage, point: str) -> None:
    stage.prepare(TABLES, publish=PUBLISHED)
    stage.streaming()
    stage.stop()
    write(stage, 1)
    drop_slot(stage.database.dsn, stage.database.slot)
    given = arguments(stage.source, stage.target.dsn, stage.heartbeat_file, action="repair")
    assert spawn(given, failpoint=point).wait(60) == -signal.SIGKILL
    assert spawn(given).wait(60) == 0
    stage.start()
    stage.settled()
    stage.assert_equal(*PUBLISHED)
    stage.assert_each_change_once()
