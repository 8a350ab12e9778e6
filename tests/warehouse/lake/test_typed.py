"""Typed history of source tables, as an analyst reads it, through what happens to a table in its life."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from pipelines.lake.loader import drain
from tests.lakes import lake_of
from tests.pipelines.landing.conftest import database, prompt_stop, stage, target, warehouse_template
from tests.pipelines.landing.stage import Stage, WarehouseDatabase
from warehouse.lake.place import Lake, rows

__all__ = ["database", "prompt_stop", "stage", "target", "warehouse_template"]

ITEM = """
create schema stock;
create table stock.item (id uuid primary key, name text, price numeric(10, 2), made date, flags jsonb, note text);
alter table stock.item replica identity full;
"""
ONE = "00000000-0000-0000-0000-000000000001"
Query = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def lake(warehouse: Cluster, target: WarehouseDatabase, tmp_path: Path) -> Lake:
    return lake_of(warehouse, target.name, tmp_path)


@pytest.fixture
def history(stage: Stage, lake: Lake) -> Query:
    """What analysts get after everything has landed and was loaded."""
    stage.prepare(*ITEM.strip().split(";\n"), publish=("stock.item",))
    stage.streaming()
    stage.settled()

    def query(statement: str) -> list[tuple[object, ...]]:
        stage.settled()
        drain(lake)
        with lake.open() as session:
            return rows(session, statement)

    return query


def test_each_change_is_a_row_of_typed_columns(stage: Stage, history: Query) -> None:
    stage.database.run(
        f"insert into stock.item values ('{ONE}', 'Bolt', 1.25, '2026-01-31', '{{\"a\": 1}}')",
        "update stock.item set price = 1.5",
        "delete from stock.item",
    )
    assert history(
        "select _op, _deleted, name, price::varchar, made, flags -> 'a', typeof(id) from lake.stock.item"
        " where made > '2026-01-01' order by _lsn"
    ) == [
        ("c", False, "Bolt", "1.250000000", date(2026, 1, 31), "1", "UUID"),
        ("u", False, "Bolt", "1.500000000", date(2026, 1, 31), "1", "UUID"),
        ("d", True, "Bolt", "1.500000000", date(2026, 1, 31), "1", "UUID"),
    ]


def test_a_value_that_the_source_did_not_send_is_as_it_was(stage: Stage, history: Query) -> None:
    stage.database.run(
        "alter table stock.item alter note set storage external",
        f"insert into stock.item (id, note) values ('{ONE}', repeat('x', 9000))",
        "update stock.item set name = 'Bolt'",
        "update stock.item set note = null",
    )
    assert history("select name, length(note) from lake.stock.item order by _lsn") == [
        (None, 9000),
        ("Bolt", 9000),
        ("Bolt", None),
    ]


def test_columns_added_renamed_retyped_and_dropped_keep_their_past(stage: Stage, history: Query) -> None:
    stage.database.run(
        f"insert into stock.item (id, name, note) values ('{ONE}', 'Bolt', '7')",
        "alter table stock.item rename column name to label",
        "update stock.item set label = 'Bolt M4'",
        "alter table stock.item add column name int",
        "update stock.item set name = 42",
    )
    assert history("select label, name from lake.stock.item where _op <> 'r' order by _lsn") == [
        ("Bolt", None),
        ("Bolt M4", None),
        ("Bolt M4", 42),
    ]
    stage.database.run(
        "alter table stock.item alter note type int using note::int",
        "alter table stock.item drop column price",
        "update stock.item set label = 'Bolt M5'",
    )
    found = history("select label, note, price from lake.stock.item where _op <> 'r' order by _lsn")
    assert found[0] == ("Bolt", 7, None)
    assert found[-1] == ("Bolt M5", 7, None)


def test_a_table_that_is_renamed_keeps_its_past(stage: Stage, history: Query) -> None:
    stage.database.run(f"insert into stock.item (id, name) values ('{ONE}', 'Bolt')")
    assert history("select name from lake.stock.item") == [("Bolt",)]
    stage.database.run("alter table stock.item rename to article", "update stock.article set name = 'Nut'")
    assert history("select name from lake.stock.article order by _lsn") == [("Bolt",), ("Nut",)]
    assert history("select view_name from duckdb_views() where schema_name = 'stock'") == [("article",)]
