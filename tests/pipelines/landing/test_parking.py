"""A change that the warehouse refuses is set aside with its successors, everything else flows, and it is replayed."""

from __future__ import annotations

from pipelines.landing.replay import list_parked, replay_parked
from tests.pipelines.landing.stage import Stage

ITEM = """
create schema stock;
create table stock.item (id int primary key, name text, price numeric(10,2));
alter table stock.item replica identity full;
create table stock.bin (id int primary key, name text)
"""
LIMIT = "alter table raw_stock.item add constraint cheap check (price < 100)"


def prepared(stage: Stage) -> Stage:
    stage.prepare(ITEM, publish=("stock.item", "stock.bin"))
    stage.streaming()
    stage.target.run(LIMIT)
    return stage


def parked(stage: Stage) -> list[tuple[str, str, int, str]]:
    return stage.target.run(
        "select key ->> 'id', op::text, seq, left(error, 5) from log.parked where table_name = 'item'"
        " order by parked_id"
    )


def test_one_refused_change_parks_its_key_alone(stage: Stage) -> None:
    prepared(stage)
    stage.database.run(
        "begin; insert into stock.item select n, 'fine', n from generate_series(1, 50) n;"
        " insert into stock.item values (60, 'too dear', 1000); insert into stock.bin values (1, 'other table');"
        " insert into stock.item values (70, 'fine', 1); commit",
        "insert into stock.item values (80, 'later', 1)",
    )
    stage.caught_up()
    assert parked(stage) == [("60", "c", 50, "23514")]
    stage.assert_equal("stock.bin")
    assert stage.target.run("select count(*) from raw_stock.item") == [(52,)]
    assert stage.target.run("select count(*) from log.change_log where table_name = 'item'") == [(53,)]


def test_successors_of_a_parked_change_wait_in_order(stage: Stage) -> None:
    prepared(stage)
    stage.database.run(
        "insert into stock.item values (1, 'a', 1), (2, 'b', 2)",
        # What was fine before the refused change is applied, even in the same transaction.
        "begin; update stock.item set price = 3 where id = 1; update stock.item set price = 300 where id = 1; commit",
    )
    stage.caught_up()
    stage.database.run(
        "update stock.item set price = 5 where id = 1",
        "update stock.item set price = 6 where id = 2",
        "delete from stock.item where id = 1",
        "insert into stock.item values (1, 'again', 7)",
    )
    stage.caught_up()
    assert stage.target.run("select id, price::int, _deleted from raw_stock.item order by id") == [
        (1, 3, False),
        (2, 6, False),
    ]
    operations = [(key, op, error) for key, op, _, error in parked(stage)]
    assert operations == [("1", "u", "23514"), *[("1", op, "follo") for op in "udc"]]


def test_replay_applies_in_order_once_the_cause_is_gone(stage: Stage) -> None:
    prepared(stage)
    stage.database.run("insert into stock.item values (1, 'a', 1), (2, 'b', 200), (3, 'c', 300)")
    stage.caught_up()
    stage.database.run(
        "update stock.item set price = 2000 where id = 2",
        "update stock.item set id = 30 where id = 3",
        "delete from stock.item where id = 2",
    )
    stage.caught_up()
    still = replay_parked(stage.target.dsn, "test")
    assert (still.applied, [key.key for key in still.still_refused]) == (0, [{"id": "2"}, {"id": "3"}, {"id": "30"}])
    stage.target.run("alter table raw_stock.item drop constraint cheap", "delete from log.queue")
    one = replay_parked(stage.target.dsn, "test", "stock.item", {"id": "2"})
    assert (one.applied, one.still_refused) == (3, [])
    assert stage.target.run("select price::int, _deleted from raw_stock.item where id = 2") == [(2000, True)]
    # Whoever reads batches learns that the mirror has changed under them.
    batches = stage.target.run('select distinct batch_id from log.change_log where key = \'{"id": "2"}\' order by 1')
    assert stage.target.run("select batch_id from log.queue where consumer = 'refresh' order by 1") == batches
    replay_parked(stage.target.dsn, "test")
    stage.database.run("update stock.item set name = 'flows again'")
    stage.caught_up()
    stage.assert_equal("stock.item")
    with stage.target.connect() as connection:
        assert list_parked(connection) == []


def test_truncate_and_rename_reach_what_is_parked(stage: Stage) -> None:
    prepared(stage)
    stage.database.run(
        "begin; insert into stock.item values (1, 'a', 1000), (2, 'b', 1); truncate stock.item; commit",
        "insert into stock.item values (3, 'c', 1000)",
        "alter table stock.item rename column id to number",
        "alter table stock.item rename to article",
        "update stock.article set name = 'still parked' where number = 3",
        "truncate stock.article",
        "insert into stock.article values (4, 'd', 1)",
    )
    stage.settled()
    stage.target.run("alter table raw_stock.article drop constraint cheap")
    assert replay_parked(stage.target.dsn, "test").still_refused == []
    stage.assert_equal("stock.article")


def test_a_row_that_a_snapshot_reads_and_the_mirror_refuses_is_parked(stage: Stage) -> None:
    prepared(stage)
    stage.database.run("insert into stock.item select n, 'x', n from generate_series(1, 20) n")
    stage.caught_up()
    stage.database.run("alter table stock.item alter price type numeric(12,2) using price * 10")
    stage.settled()
    assert sorted(int(key) for key, *_ in parked(stage)) == list(range(10, 21))
    stage.target.run("alter table raw_stock.item drop constraint cheap")
    replay_parked(stage.target.dsn, "test")
    stage.assert_equal("stock.item")
