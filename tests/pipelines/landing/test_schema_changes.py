"""The source's tables change while they are written to: the mirror follows, in the order of the stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from headwater.doctor.stream import UNMENDED
from tests.pipelines.landing.stage import Stage

ITEM = """
create schema stock;
create table stock.item (id int primary key, name text, price numeric(10,2), note text default 'none');
alter table stock.item replica identity full;
insert into stock.item select n, 'item ' || n, n, case when n % 2 = 0 then n::text end from generate_series(1, 500) n
"""


@contextmanager
def load(stage: Stage, *, key: str = "id") -> Iterator[None]:
    """Writes to stock.item, through columns that no test touches, until the block ends.

    ``key``: what the primary key is called in the end.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with psycopg.connect(stage.database.dsn, autocommit=True) as connection:
                number, name = 1000, "id"
                while not stop.is_set():
                    number += 1
                    try:
                        for statement in (
                            f"insert into stock.item ({name}) values ({number})",
                            f"delete from stock.item where {name} = {number - 100}",
                            f"update stock.item set {name} = -{name} where {name} = {number - 50}",
                        ):
                            connection.execute(statement.encode())
                    except psycopg.errors.UndefinedColumn:
                        name = key
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


@pytest.mark.parametrize(
    "statement",
    [
        "alter table stock.item add column added text",
        "alter table stock.item add column added text default 'given'",
        "alter table stock.item add column added timestamptz not null default clock_timestamp()",
        "alter table stock.item drop column note",
        "alter table stock.item rename column name to title",
        "alter table stock.item alter price type numeric(14,4)",
        "alter table stock.item alter price type bigint using (price * 100)::bigint",
        "alter table stock.item alter note drop default, alter note type jsonb using to_jsonb(note)",
        "alter table stock.item alter price type text using '€ ' || price",
        "alter table stock.item alter note drop default,"
        " alter note type int using case when note ~ '^[0-9]+$' then note::int end",
        "alter table stock.item rename to article",
        "alter table stock.item set schema public",
        "alter table stock.item add column code text; update stock.item set code = 'C' || id;"
        " alter table stock.item drop constraint item_pkey, alter code set not null,"
        " alter code set default gen_random_uuid()::text, add primary key (code)",
    ],
    ids=lambda s: s.removeprefix("alter table stock.item ")[:40].replace(" ", "-"),
)
def test_the_mirror_follows_under_load(stage: Stage, statement: str) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    table = {"rename to article": "stock.article", "set schema public": "public.item"}.get(
        statement.removeprefix("alter table stock.item "), "stock.item"
    )
    if table != "stock.item":
        stage.database.run(statement)
    else:
        with load(stage):
            stage.database.run(statement)
            stage.settled()
    table = (
        "stock.article" if "rename to" in statement else "public.item" if "set schema" in statement else "stock.item"
    )
    stage.database.run(
        f"update {table} set id = id + 100000 where id between 10 and 20", f"delete from {table} where id = 30"
    )
    stage.settled()
    stage.assert_equal(table)
    stage.assert_each_change_once()
    assert stage.target.run("select problems from log.schema_change where problems <> '[]'") == []
    assert stage.target.run("select count(*) from log.parked") == [(0,)]


def test_several_changes_before_landing_has_read_the_first(stage: Stage) -> None:
    """The source is far ahead of the stream: what is read again is the latest, each column with its own re-read."""
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.stop()
    stage.database.run(
        "alter table stock.item add column a int default 1",
        "update stock.item set a = id where id < 100",
        "alter table stock.item rename column a to b",
        "alter table stock.item alter b type text using 'b' || b",
        "alter table stock.item drop column note",
        "alter table stock.item add column note int default 5",
        "alter table stock.item rename column name to swap",
        "alter table stock.item rename column b to name",
        "alter table stock.item rename column swap to b",
        "update stock.item set price = 0 where id < 50",
    )
    stage.start()
    stage.settled()
    stage.assert_equal("stock.item")
    assert stage.target.run("select problems from log.schema_change where problems <> '[]'") == []


def test_a_dropped_column_keeps_its_values_and_is_flagged(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.database.run("alter table stock.item drop column note", "insert into stock.item (id) values (0)")
    stage.settled()
    assert stage.target.run("select count(note) from raw_stock.item") == [(250,)]
    flagged = stage.target.run("select column_name from log.mirror_column where dropped_at is not null")
    assert flagged == [("note",)]


def test_a_column_dropped_and_added_again_starts_with_the_new_ones_values(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.database.run("alter table stock.item drop column note", "alter table stock.item add column note date")
    stage.settled()
    stage.assert_equal("stock.item")
    assert stage.target.run("select column_name from log.mirror_column where dropped_at is not null") == []


def test_a_name_as_long_as_names_may_be_passes_to_another_column(stage: Stage) -> None:
    """The dropped column, which stays, makes room under a name of its own, and must be found there."""
    long = "é" * 31
    stage.prepare(ITEM, f"alter table stock.item rename note to {long}", publish=("stock.item",))
    stage.streaming()
    stage.database.run(
        f"alter table stock.item drop column {long}",
        f"alter table stock.item rename name to {long}",
        f"update stock.item set {long} = 'x' where id = 1",
        f"alter table stock.item rename {long} to name",
        "alter table stock.item rename price to cost",
    )
    stage.settled()
    stage.assert_equal("stock.item")
    assert stage.target.run("select problems from log.schema_change where problems <> '[]'") == []
    flagged = stage.target.run("select column_name from log.mirror_column where dropped_at is not null")
    assert flagged == [("é" * 30 + "__4",)]
    assert stage.target.run(f"select count({flagged[0][0]}) from raw_stock.item") == [(250,)]


def test_new_dropped_and_reborn_tables(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.database.run(
        "create table stock.bin (id int primary key, place text)",
        "insert into stock.bin values (1, 'before it was published')",
        f"alter publication {stage.database.publication} add table stock.bin",
        "insert into stock.bin values (2, 'after')",
    )
    stage.settled()
    stage.assert_equal("stock.bin")
    stage.database.run("drop table stock.bin")
    stage.settled()
    assert stage.target.run("select count(*) from raw_stock.bin where not _deleted") == [(0,)]
    assert stage.target.run("select table_name from log.mirror where dropped_at is not null") == [("bin",)]
    stage.database.run(
        "create table stock.bin (id int primary key, shelf int)",
        f"alter publication {stage.database.publication} add table stock.bin",
        "insert into stock.bin values (1, 7)",
    )
    stage.settled()
    stage.assert_equal("stock.bin")
    assert stage.target.run("select column_name from log.mirror_column where dropped_at is not null") == [("place",)]


def test_without_the_event_trigger_new_columns_come_with_the_stream(stage: Stage) -> None:
    """The weaker mode: what the stream itself describes is followed, defaults of old rows are not."""
    stage.database.run(ITEM)
    stage.database.publish("stock.item")
    stage.streaming()
    stage.database.run(
        "alter table stock.item add column added numeric(5,1)", "insert into stock.item values (0, 'x', 1, 'y', 2)"
    )
    stage.caught_up()
    stage.assert_equal("stock.item")


def test_dependent_views_survive_a_retype_with_owner_grants_and_options(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.target.run(
        "create schema staging",
        "create view staging.item with (security_invoker = true) as select id, price, note from raw_stock.item",
        "comment on view staging.item is 'it''s here'",
        "comment on column staging.item.price is 'what it costs'",
        "grant select on staging.item to wh_analyst",
        "create view staging.total as select sum(price) as total, count(*) from staging.item",
    )
    with load(stage):
        stage.database.run("alter table stock.item alter price type double precision")
        stage.settled()
    assert stage.target.run("select total > 0 from staging.total") == [(True,)]
    described = stage.target.run(
        "select reloptions, obj_description(oid), col_description(oid, 2),"
        " has_table_privilege('wh_analyst', oid, 'select'), relowner::regrole::text"
        " from pg_class where oid = 'staging.item'::regclass"
    )
    assert described == [(["security_invoker=true"], "it's here", "what it costs", True, "wh_owner")]


def test_a_view_that_no_longer_compiles_is_recorded_and_stops_nothing(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.target.run(
        "create schema staging",
        "create view staging.shout as select id, upper(name) as name from raw_stock.item",
        "create view staging.plain as select id, name from raw_stock.item",
    )
    stage.database.run("alter table stock.item alter name type int using length(name)")
    stage.settled()
    stage.assert_equal("stock.item")
    ((problems,),) = stage.target.run("select problems from log.schema_change where problems <> '[]'")
    assert [problem["view"] for problem in problems] == ["staging.shout"]
    assert "upper" in problems[0]["definition"]
    assert stage.target.run("select count(*) > 0 from staging.plain") == [(True,)]
    assert [row[:2] for row in stage.target.run(UNMENDED)] == [("stock.item", "staging.shout")]
    stage.target.run("create view staging.shout as select id, name from raw_stock.item")
    assert stage.target.run(UNMENDED) == [], "the doctor is content once somebody has made it again"


def test_what_forbids_a_retype_in_the_warehouse_is_recorded_and_stops_nothing(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    stage.streaming()
    stage.target.run("create materialized view public.frozen as select price from raw_stock.item")
    stage.database.run("alter table stock.item alter price type text", "insert into stock.item values (0, 'x', 'free')")
    stage.settled()
    ((problems,),) = stage.target.run("select problems from log.schema_change where problems <> '[]'")
    assert "frozen" in problems[0]["reason"]
    assert stage.target.run("select distinct key from log.parked") == [({"id": "0"},)]
