"""Where a source forbids event triggers its catalogue is polled; however it is altered, the mirror ends as it is."""

from __future__ import annotations

import signal

import psycopg
import pytest

from cdc import ddl
from cdc.sources import polled
from pipelines.landing import worker
from tests.pipelines.landing.process import arguments, spawn
from tests.pipelines.landing.stage import Stage
from tests.pipelines.landing.test_schema_changes import ITEM, load


@pytest.fixture(autouse=True)
def prompt_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polled, "POLL_SECONDS", 0.2)


@pytest.fixture
def untold(stage: Stage) -> Stage:
    """``stock.item`` streams, and no trigger tells of its changes."""
    stage.database.run(ITEM)
    stage.database.publish("stock.item")
    return stage.streaming()


def followed(stage: Stage) -> None:
    """Waits until the stream has passed a look at the catalogue as it stands, and what was to be read again was."""

    def known() -> bool:
        stage.caught_up()
        ((filenode,),) = stage.database.run("select pg_relation_filenode('stock.item')::bigint")
        columns = stage.database.run(
            "select jsonb_agg(attname order by attnum) from pg_attribute where attrelid = 'stock.item'::regclass"
            " and attnum > 0 and not attisdropped"
        )
        stored = stage.target.run(
            "select (description -> 'filenode')::bigint, jsonb_path_query_array(description -> 'columns', '$[*][1]')"
            " from log.source_table"
        )
        return stored == [(filenode, columns[0][0])]

    stage.wait_for(known, "the poll")
    stage.settled()


@pytest.mark.parametrize(
    "statement",
    [
        "alter table stock.item add column added text",
        "alter table stock.item add column added text default 'given'",
        "alter table stock.item add column added timestamptz not null default clock_timestamp()",
        "alter table stock.item drop column note",
        "alter table stock.item rename column name to title",
        "alter table stock.item rename column id to number",
        "alter table stock.item alter price type numeric(14,4)",
        "alter table stock.item alter price type numeric(10,2) using price * 2",
        "alter table stock.item alter price type text using '€ ' || price",
    ],
    ids=lambda s: s.removeprefix("alter table stock.item ")[:40].replace(" ", "-"),
)
def test_the_mirror_follows_under_load(untold: Stage, statement: str) -> None:
    with load(untold, key="number" if "to number" in statement else "id"):
        untold.database.run(statement)
        untold.settled()
    followed(untold)
    assert untold.target.run("select command from log.schema_change where relid > 0 limit 1") == [("POLL",)]
    untold.database.run("update stock.item set price = null where price is not null and price::text like '%7%'")
    followed(untold)
    untold.assert_equal("stock.item")
    untold.assert_each_change_once()
    assert untold.target.run("select problems from log.schema_change where problems <> '[]'") == []
    assert untold.target.run("select count(*) from log.parked") == [(0,)]
    assert untold.target.run("select schema_changes from log.source_state") == [("polling",)]


def test_several_changes_before_landing_has_read_the_first(untold: Stage) -> None:
    """The catalogue is far ahead of the stream, whose rows come under names and types that it has no more."""
    untold.stop()
    untold.database.run(
        "alter table stock.item add column a int default 1",
        "update stock.item set a = id where id < 100",
        "alter table stock.item rename column a to b",
        "update stock.item set b = b + 1 where id < 50",
        "alter table stock.item alter b type text using 'b' || b",
        "update stock.item set b = 'written' where id < 20",
        "alter table stock.item drop column note",
        "alter table stock.item add column note int default 5",
        "update stock.item set note = 6 where id between 5 and 25",
        "alter table stock.item rename column name to swap",
        "alter table stock.item rename column b to name",
        "alter table stock.item rename column swap to b",
        "update stock.item set price = 0 where id < 50",
        "delete from stock.item where id = 7",
        "update stock.item set id = -id where id = 8",
    )
    untold.start()
    followed(untold)
    untold.assert_equal("stock.item")
    assert untold.target.run("select count(*) from log.parked") == [(0,)]


def test_a_change_while_landing_is_down_is_found_at_its_start(untold: Stage) -> None:
    untold.stop()
    untold.database.run("alter table stock.item add column tier int default 7")
    untold.start()
    followed(untold)
    untold.assert_equal("stock.item")


def test_a_row_that_commits_late_is_not_overwritten_by_the_reread(untold: Stage) -> None:
    """The read begins when those who were writing the table have ended: what it says they did, it has seen."""
    with psycopg.connect(untold.database.dsn) as writer:
        untold.database.run("alter table stock.item alter price type numeric(10,2) using price * 2")
        writer.execute("update stock.item set name = 'late' where id = 1")
        untold.wait_for(
            lambda: (
                untold.caught_up()
                or untold.target.run("select 1 from log.snapshot where purpose = 'reread' and finished_at is null")
            ),
            "the request",
        )
        untold.caught_up()
        assert untold.target.run("select progress from log.snapshot where purpose = 'reread'") == [(None,)]
        writer.commit()
    followed(untold)
    untold.assert_equal("stock.item")
    assert untold.target.run("select name, price from raw_stock.item where id = 1") == [("late", 2)]


def test_new_dropped_reborn_and_unpublished_tables(untold: Stage) -> None:
    publication = untold.database.publication

    def told(condition: str) -> None:
        untold.wait_for(
            lambda: untold.caught_up() or untold.target.run(f"select 1 from log.schema_change where {condition}"),
            condition,
        )
        untold.settled()

    untold.database.run(
        "create table stock.bin (id int primary key, place text)",
        "insert into stock.bin values (1, 'before it was published')",
        f"alter publication {publication} add table stock.bin",
        "insert into stock.bin values (2, 'after')",
    )
    told("table_name = 'bin' and rewrites")
    untold.assert_equal("stock.bin")
    untold.database.run(f"alter publication {publication} drop table stock.bin", "delete from stock.bin where id = 1")
    told("command = 'UNPUBLISHED'")
    assert untold.target.run("select count(*) from raw_stock.bin where not _deleted") == [(2,)]
    untold.database.run("drop table stock.bin")
    untold.database.run(
        "create table stock.bin (id int primary key, shelf int)",
        "insert into stock.bin values (3, 7)",
        f"alter publication {publication} add table stock.bin",
    )
    told("table_name = 'bin' and after @> '[{\"name\": \"shelf\"}]' and rewrites")
    assert untold.target.run("select shelf from raw_stock.bin where id = 3 and not _deleted") == [(7,)]
    untold.database.run("drop table stock.bin")
    told("table_name = 'bin' and after is null")
    assert untold.target.run("select count(*) from raw_stock.bin where not _deleted") == [(0,)]


def test_another_primary_key_is_taken_once_the_rows_have_values_for_it(untold: Stage) -> None:
    """They get them from the re-read alone: a default of existing rows is no event."""
    untold.database.run(
        "alter table stock.item add column code text default gen_random_uuid()::text",
        "alter table stock.item drop constraint item_pkey, add primary key (code)",
        "update stock.item set id = -id where id between 40 and 50",
    )
    followed(untold)
    untold.database.run("delete from stock.item where id = 30", "update stock.item set name = 'x' where id = 31")
    followed(untold)
    untold.assert_equal("stock.item")
    assert untold.target.run("select key from log.mirror") == [(["code"],)]
    assert untold.target.run("select problems from log.schema_change where problems <> '[]'") == []


def test_the_trigger_takes_over_where_it_is_installed_and_polling_where_it_is_removed(
    untold: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of the tables is kept up in either mode, so that nothing is read again for the change of mode."""
    monkeypatch.setattr(worker, "LOOK_FOR_TRIGGER", 0.1)

    def mode(name: str) -> bool:
        return untold.target.run("select schema_changes from log.source_state") == [(name,)]

    with untold.database.connect() as connection:
        ddl.install(connection)
        untold.wait_for(lambda: mode("trigger"), "the trigger's mode")
        untold.database.run("alter table stock.item add column tier int default 7")
        untold.settled()
        ddl.remove(connection)
        untold.wait_for(lambda: mode("polling"), "polling")
    followed(untold)
    untold.assert_equal("stock.item")
    assert untold.target.run("select count(*) from log.snapshot where purpose = 'reread'") == [(1,)]


@pytest.mark.parametrize("point", ["ddl.before", "ddl.after", "reread.before_commit", "reread.after_commit"])
def test_a_change_that_landing_dies_of_is_found_again(untold: Stage, point: str) -> None:
    untold.stop()
    untold.database.run(
        "alter table stock.item add column tier int default 7", "update stock.item set tier = 8 where id = 1"
    )
    process = spawn(arguments(untold.source, untold.target.dsn, untold.heartbeat_file), failpoint=point)
    untold.database.run("select pg_logical_emit_message(true, 'test.mark', '')")
    assert process.wait(60) == -signal.SIGKILL, point
    untold.start()
    followed(untold)
    untold.assert_equal("stock.item")
    untold.assert_each_change_once()
