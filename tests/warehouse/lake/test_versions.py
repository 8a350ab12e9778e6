"""Accounts and products as they were: intervals without gap or overlap, whatever happened and wherever it is kept."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from pipelines.lake.loader import drain
from pipelines.refresh.lane import Lane
from pipelines.refresh.program import Program, load
from tests.lakes import lake_of
from tests.marts import ACME, BIKE, NORTH, SOUTH, Marts, copy_of_marts, differences, hot_manifest
from tests.marts import drain as refresh
from tests.mirror import Connection, Stream, delete, put, truncate
from tests.pipelines.lake.test_retention import today
from warehouse.change_log import ensure_partitions
from warehouse.lake.dimensions import copy_dimension_changes
from warehouse.lake.place import Lake

VERSIONS = "select {} from marts.dim_account_version where account_uuid = %s order by version_number"


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as made:
        yield made


@pytest.fixture
def owner(marts: Marts) -> Iterator[Connection]:
    with marts.connect() as connection:
        yield connection


@pytest.fixture
def program() -> Program:
    return load(hot_manifest())


@pytest.fixture
def lane(marts: Marts, program: Program) -> Iterator[Lane]:
    with marts.connect() as connection:
        yield Lane(connection, program)


@pytest.fixture
def lake(marts: Marts) -> Iterator[Lake]:
    with tempfile.TemporaryDirectory() as directory:
        yield lake_of(marts.cluster, marts.name, Path(directory))


def versions(owner: Connection, columns: str, account: uuid.UUID = ACME) -> list[tuple[Any, ...]]:
    return owner.execute(VERSIONS.format(columns).encode(), [account]).fetchall()


def test_a_version_ends_where_the_next_begins(owner: Connection, lane: Lane) -> None:
    stream = Stream(owner)
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Steel"))
    stream.commit(put("contacts.account", account_uuid=ACME, version=9))
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Tin", territory_id=SOUTH))
    refresh(lane)
    found = versions(owner, "industry, version_territory_id, is_current, ended_by, valid_from, valid_to")
    assert [row[:4] for row in found] == [
        (None, NORTH, False, "change"),
        ("Steel", NORTH, False, "change"),
        ("Tin", SOUTH, True, None),
    ], "a change of nothing that the dimension tells is no version"
    assert [row[5] for row in found] == [found[1][4], found[2][4], None]
    assert str(found[0][4]) == "2024-01-01 00:00:00+00:00", "the first one begins when the account was created"


def test_who_may_see_an_account_now_may_see_what_it_was_and_nobody_else(
    marts: Marts, owner: Connection, lane: Lane
) -> None:
    Stream(owner).commit(put("contacts.account", account_uuid=ACME, territory_id=SOUTH))
    refresh(lane)

    def seen(territory: uuid.UUID, role: str = "sales_rep") -> int:
        claims = {"sub": str(uuid.uuid4()), "roles": [role], "team_ids": [], "territory_ids": [str(territory)]}
        with marts.connect("wh_api") as reader:
            reader.execute("select set_config('headwater.claims', %s, false)", [json.dumps(claims)])
            return len(versions(reader, "1"))

    assert seen(SOUTH) == 2
    assert seen(NORTH) == 0, "it lay there once, which is nobody's business there now"
    assert seen(SOUTH, "warehouse_clerk") == 0


def test_what_was_deleted_and_came_back_leaves_a_gap_that_says_why(owner: Connection, lane: Lane) -> None:
    stream = Stream(owner)
    stream.commit(delete("contacts.account", account_uuid=ACME))
    refresh(lane)
    assert versions(owner, "is_current, ended_by") == [(False, "deletion")]
    stream.commit(put("contacts.account", account_uuid=ACME, name="Acme II", account_number="AC-000001"))
    refresh(lane)
    assert versions(owner, "account_name, is_current, ended_by") == [
        ("Acme", False, "deletion"),
        ("Acme II", True, None),
    ]


def test_an_emptied_table_ends_every_version(owner: Connection, lane: Lane, program: Program) -> None:
    stream = Stream(owner)
    stream.commit(truncate("contacts.account"))
    refresh(lane)
    assert owner.execute("select count(*) from marts.dim_account_version where is_current").fetchone() == (0,)
    assert differences(owner, program) == []


def test_several_changes_of_one_transaction_are_one_version(owner: Connection, lane: Lane) -> None:
    Stream(owner).commit(
        put("inventory.product", id=BIKE, list_price=900),
        put("inventory.product", id=BIKE, list_price=950),
    )
    refresh(lane)
    found = owner.execute(
        "select list_price::int, is_current from marts.dim_product_version where product_id = %s order by 1 desc",
        [BIKE],
    ).fetchall()
    assert found == [(1000, False), (950, True)]


def test_a_source_clock_that_was_set_back_turns_no_interval_round(
    owner: Connection, lane: Lane, program: Program
) -> None:
    stream = Stream(owner)
    for name in ("One", "Two", "Three"):
        stream.commit(put("contacts.account", account_uuid=ACME, name=name))
    owner.execute(
        "update log.change_log set committed_at = committed_at - interval '1 hour' where after ->> 'name' = 'Two'"
    )
    refresh(lane)
    found = versions(owner, "account_name, valid_from, valid_to")
    assert [row[0] for row in found][-1] == "Three"
    assert all(row[2] is None or row[1] < row[2] for row in found)


def test_transactions_of_one_batch_stand_in_the_order_of_their_commits(
    owner: Connection, lane: Lane, program: Program
) -> None:
    """Though the clock went back between them, and the later one's change stands first in the log."""
    stream = Stream(owner)
    batches = [stream.commit(put("contacts.account", account_uuid=ACME, name=name)) for name in ("One", "Two")]
    owner.execute(
        "update log.change_log set batch_id = %(last)s, commit_no = batch_id - %(last)s + 2,"
        " committed_at = committed_at - (batch_id - %(last)s + 1) * interval '1 hour',"
        " lsn = case batch_id when %(last)s then '0/10'::pg_lsn else lsn end where batch_id = any(%(all)s)",
        {"last": batches[-1], "all": batches},
    )
    refresh(lane)
    found = versions(owner, "account_name, valid_from, valid_to, is_current")
    assert (found[-1][0], found[-1][3]) == ("Two", True)
    assert [row[0] for row in found].index("Two") == len(found) - 1
    assert differences(owner, program) == []


def test_days_that_left_the_change_log_stay_in_the_dimension(
    marts: Marts, owner: Connection, lane: Lane, lake: Lake, program: Program
) -> None:
    """Incremental = full, with the change log's part and the kept part in any proportion, and filled from the lake."""
    stream = Stream(owner)
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Steel"))
    refresh(lane)
    drain(lake)
    _drop_all_days(owner, lake)
    stream.commit(put("contacts.account", account_uuid=ACME, industry="Tin"))
    refresh(lane)
    before = versions(owner, "industry, valid_from, valid_to")
    assert [row[0] for row in before] == [None, "Steel", "Tin"]
    assert differences(owner, program) == []
    owner.execute("delete from ops.dimension_change")
    assert copy_dimension_changes(lake) == len(owner.execute("select from ops.dimension_change").fetchall()) > 0
    assert differences(owner, program) == []
    assert versions(owner, "industry, valid_from, valid_to") == before


def _drop_all_days(owner: psycopg.Connection[Any], lake: Lake) -> None:
    """As if everything so far had landed, and been loaded, forty days ago, and retention had come by."""
    day = today() - timedelta(days=40)
    ensure_partitions(owner, day)
    owner.execute("create temporary table aged as select * from log.change_log")
    owner.execute("delete from log.change_log")
    owner.execute("update aged set landed_on = %s", [day])
    owner.execute("insert into log.change_log select * from aged")
    with lake.open(writable=True) as session:
        session.execute("update lake.log.changes set landed_on = ?", [day])
    owner.execute("select ops.keep_dimension_changes(%s)", [day])
    owner.execute(f"drop table log.change_log_{day:%Y%m%d}".encode())
