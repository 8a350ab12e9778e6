"""Row security of a mirror holds through whatever landing does to it: nobody sees more, not for a moment."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from headwater.doctor.stream import UNMENDED
from tests.passwords import PASSWORDS
from tests.pipelines.landing.stage import Stage

SALES = """
create schema sales;
create table sales.deal (id int primary key, owner_id int, name text);
create table sales.note (id int primary key, deal_id int, words text);
alter table sales.deal replica identity full;
alter table sales.note replica identity full;
insert into sales.deal select n, n % 2, 'deal ' || n from generate_series(1, 10) n;
insert into sales.note select n, n, 'note ' || n from generate_series(1, 10) n
"""
PUBLISHED = ("sales.deal", "sales.note")


def seen(stage: Stage, table: str) -> Any:
    """How many rows the read API's role sees."""
    with psycopg.connect(
        stage.target.cluster.dsn(stage.target.name, user="wh_api", password=PASSWORDS["wh_api"])
    ) as api:
        row = api.execute(f"select count(*) from raw_sales.{table}".encode()).fetchone()
        assert row is not None
        return row[0]


def secure(stage: Stage) -> None:
    """Alice, who owns the odd deals, reads those and their notes."""
    stage.target.run(
        "select ops.secure('raw_sales.deal', 'wh_api', 'owner_id = 1')",
        "select ops.secure('raw_sales.note', 'wh_api',"
        " 'exists (select from raw_sales.deal d where d.id = note.deal_id and d.owner_id = 1)')",
    )


def test_a_new_mirror_shows_nothing_until_somebody_says_to_whom(stage: Stage) -> None:
    stage.prepare(SALES, publish=PUBLISHED)
    stage.streaming()
    assert (seen(stage, "deal"), seen(stage, "note")) == (0, 0)
    secure(stage)
    assert (seen(stage, "deal"), seen(stage, "note")) == (5, 5)


@pytest.mark.parametrize(
    "statement",
    [
        "alter table sales.deal alter owner_id type bigint",
        "alter table sales.deal alter id type bigint",
        "alter table sales.deal alter owner_id type numeric(12,0) using owner_id",
        "alter table sales.note alter deal_id type bigint",
    ],
    ids=["scope-column", "key-that-another-policy-reads", "with-using", "column-of-a-policy-through"],
)
def test_a_retyped_key_or_scope_column_keeps_its_policies(stage: Stage, statement: str) -> None:
    stage.prepare(SALES, publish=PUBLISHED)
    stage.streaming()
    secure(stage)
    before = stage.target.run(
        "select polrelid::regclass::text, obj_description(oid, 'pg_policy') from pg_policy order by 1"
    )
    stage.database.run(statement, "insert into sales.deal values (11, 1, 'more'), (12, 0, 'not hers')")
    stage.settled()
    stage.assert_equal(*PUBLISHED)
    assert stage.target.run("select problems from log.schema_change where problems <> '[]'") == []
    after = stage.target.run(
        "select polrelid::regclass::text, obj_description(oid, 'pg_policy') from pg_policy order by 1"
    )
    assert after == before
    assert (seen(stage, "deal"), seen(stage, "note")) == (6, 5)


def test_a_policy_that_no_longer_compiles_is_recorded_and_hides_the_table(stage: Stage) -> None:
    stage.prepare(SALES, publish=PUBLISHED)
    stage.streaming()
    secure(stage)
    stage.database.run("alter table sales.deal alter owner_id type text")
    stage.settled()
    stage.assert_equal("sales.deal")
    ((problems,),) = stage.target.run("select problems from log.schema_change where problems <> '[]'")
    assert {(problem["policy"], problem["table"]) for problem in problems} == {
        ("readers", "raw_sales.deal"),
        ("readers", "raw_sales.note"),
    }
    assert (seen(stage, "deal"), seen(stage, "note")) == (0, 0)
    assert [row[3] for row in stage.target.run(UNMENDED)] == ["raw_sales.deal", "raw_sales.note"]
    stage.target.run("select ops.secure('raw_sales.deal', 'wh_api', 'owner_id = ''1''')")
    assert seen(stage, "deal") == 5
    assert [row[3] for row in stage.target.run(UNMENDED)] == ["raw_sales.note"]
