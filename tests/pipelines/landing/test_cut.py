"""A mirror read at a cut: what landed beyond it is taken back exactly, or the question is refused.

Changes land over a slot here, which is quick; that they come over Kafka, and up to where, is then written down by hand.
With a worker that is held back and half a transaction, see kafka/test_cut.py.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.passwords import PASSWORDS
from tests.pipelines.landing.stage import Stage

DEALS = """
create schema sales;
create table sales.deal (
  id uuid default gen_random_uuid(), at timestamptz default now(), name text, price numeric, tags uuid[] default '{}',
  custom jsonb default '{}', "Day" date default current_date, raw bytea default '\\x00ff', primary key (id, at));
alter table sales.deal replica identity full;
create table sales.note (id int primary key, words text);
insert into sales.deal (name, price) select 'deal ' || n, 'NaN' from generate_series(1, 10) n;
insert into sales.note values (1, 'one')
"""
PUBLISHED = ("sales.deal", "sales.note")
AT_CUT = 'select row(id, at, name, price, tags, custom, "Day", raw)::text from ops.at_cut(null::raw_sales.deal)'


@pytest.fixture
def deals(stage: Stage) -> Stage:
    stage.prepare(DEALS, publish=PUBLISHED)
    stage.streaming()
    stage.settled()
    return stage


def cut(stage: Stage) -> None:
    """Says that the source is landed over Kafka, and that all that is committed now has landed."""
    stage.caught_up()
    ((snapshot,),) = stage.database.run("select pg_current_snapshot()::text")
    stage.target.run(
        "insert into log.kafka_source (source, cluster_id, cut) values ('test', 'c', %s)"
        " on conflict (source) do update set cut = excluded.cut",
        parameters=[snapshot],
    )


def rows_at_cut(stage: Stage) -> list[str]:
    return sorted(row for (row,) in stage.target.run(AT_CUT))


def test_over_a_slot_the_mirror_is_its_own_cut(deals: Stage) -> None:
    deals.database.run("update sales.deal set price = 1", "delete from sales.deal where name = 'deal 1'")
    deals.caught_up()
    assert rows_at_cut(deals) == deals.mirror_rows("sales.deal") == deals.source_rows("sales.deal")


def test_what_was_changed_beyond_the_cut_is_as_it_was(deals: Stage) -> None:
    before = deals.source_rows("sales.deal")
    cut(deals)
    deals.database.run(
        "update sales.deal set price = 1.50, tags = array[id, gen_random_uuid()], custom = '{\"a\": [1]}', raw = null",
        "update sales.deal set price = 2, \"Day\" = null where name in ('deal 1', 'deal 2')",
        "delete from sales.deal where name in ('deal 2', 'deal 3')",
        "insert into sales.deal (name) values ('new'), ('gone')",
        "delete from sales.deal where name = 'gone'",
    )
    deals.caught_up()
    assert deals.mirror_rows("sales.deal") == deals.source_rows("sales.deal") != before
    assert rows_at_cut(deals) == before
    cut(deals)
    assert rows_at_cut(deals) == deals.source_rows("sales.deal")


def test_a_transaction_that_was_open_at_the_cut_is_beyond_it_whenever_it_wrote(deals: Stage) -> None:
    before = deals.source_rows("sales.deal")
    with psycopg.connect(deals.database.dsn) as connection:
        connection.execute("update sales.deal set price = 7 where name = 'deal 7'")
        deals.database.run("insert into sales.note values (2, 'committed meanwhile')")
        cut(deals)
        connection.execute("update sales.deal set price = 8 where name = 'deal 8'")
        connection.commit()
    deals.caught_up()
    assert rows_at_cut(deals) == before
    assert deals.target.run("select words from ops.at_cut(null::raw_sales.note) order by id") == [
        ("one",),
        ("committed meanwhile",),
    ]


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("truncate sales.note", "it was truncated since the cut"),
        ("update sales.note set words = 'x'", "no REPLICA IDENTITY FULL"),
        ("delete from sales.note", "no REPLICA IDENTITY FULL"),
        ("alter table sales.note add column late int default 5", "it is read from its table, or was since the cut"),
    ],
)
def test_what_cannot_be_told_is_refused_until_the_cut_has_passed_it(deals: Stage, statement: str, refused: str) -> None:
    cut(deals)
    # The cut's own moment is the position; from here on only the change log moves. Landing stands still meanwhile, or
    # it stores how far it is over what is written by hand.
    deals.database.run(statement)
    deals.settled()
    deals.stop()
    ((here,),) = deals.target.run("select lsn from log.position")
    deals.target.run("update log.position set lsn = (select min(finished_lsn) from log.snapshot)")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=refused):
        deals.target.run("select * from ops.at_cut(null::raw_sales.note)")
    deals.target.run("update log.position set lsn = %s", parameters=[here])
    deals.start()
    cut(deals)
    assert deals.target.run("select count(*) from ops.at_cut(null::raw_sales.note)") == deals.database.run(
        "select count(*) from sales.note"
    )


def test_before_the_first_mark_there_is_no_cut(deals: Stage) -> None:
    deals.target.run("insert into log.kafka_source (source, cluster_id) values ('test', 'c')")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no mark has come"):
        deals.target.run(AT_CUT)


def test_what_is_no_mirror_has_no_cut(deals: Stage) -> None:
    with pytest.raises(psycopg.errors.WrongObjectType, match=r"log\.batch is no mirror"):
        deals.target.run("select * from ops.at_cut(null::log.batch)")
    with pytest.raises(psycopg.errors.WrongObjectType, match="integer is no mirror"):
        deals.target.run("select * from ops.at_cut(null::int)")


def test_the_read_apis_role_may_not_ask(deals: Stage) -> None:
    """It sees no change log, and would take rows beyond the cut for settled ones."""
    deals.target.run("grant execute on function ops.at_cut(anyelement) to wh_api")
    cut(deals)
    dsn = deals.target.cluster.dsn(deals.target.name, user="wh_api", password=PASSWORDS["wh_api"])
    with psycopg.connect(dsn) as api, pytest.raises(psycopg.errors.InsufficientPrivilege, match="only the owner"):
        api.execute(AT_CUT.encode())
    deals.target.run("revoke execute on function ops.at_cut(anyelement) from wh_api")
    with psycopg.connect(dsn) as api, pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        api.execute(AT_CUT.encode())
