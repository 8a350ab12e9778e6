"""What the auditor of lake and search looks for is found when it is planted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import duckdb
import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from tests.storm.readers import INDEXED, lake_holds_each_change_once, search_equals_documents
from tests.storm.verify import Databases

ACCOUNT, GHOST = UUID(int=1), UUID(int=2)

CONTENT = f"""
create schema log; create schema contacts; create schema inventory; create schema orders;
create table log.change_log (source text, epoch int, xid bigint, lsn pg_lsn, seq int, op "char", schema_name text,
    table_name text, key jsonb, batch_id bigint);
create table log.queue (consumer text, batch_id bigint);
insert into log.change_log values
    ('headwater', 1, 10, '0/10', 0, 'c', 'contacts', 'account', '{{"account_uuid": "1"}}', 1),
    ('headwater', 1, 11, '0/20', 0, 'u', 'contacts', 'account', '{{"account_uuid": "1"}}', 2);
create table contacts.account (account_uuid uuid); create table contacts.contact (id uuid);
create table inventory.product (id uuid); create table orders.sales_order (id uuid);
insert into contacts.account values ('{ACCOUNT}')
"""
FIRST = "('headwater', 1, 10, 16, 0, 'c', 'contacts', 'account', '{\"account_uuid\": \"1\"}', 1)"
SECOND = "('headwater', 1, 11, 32, 0, 'u', 'contacts', 'account', '{\"account_uuid\": \"1\"}', 2)"
NEVER = "('headwater', 1, 99, 64, 0, 'd', 'contacts', 'account', '{\"account_uuid\": \"1\"}', 2)"


class FakeLake:
    """The lake's table of changes, with these rows."""

    def __init__(self, *rows: str) -> None:
        self._rows = rows

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as session:
            session.execute("attach ':memory:' as lake; create schema lake.log")
            session.execute(
                "create table lake.log.changes (source text, epoch int, xid bigint, lsn bigint, seq int, op text,"
                " schema_name text, table_name text, key text, batch_id bigint)"
            )
            for row in self._rows:
                session.execute(f"insert into lake.log.changes values {row}")
            yield session


class FakeEngine:
    """An index with these documents."""

    def __init__(self, **documents: list[UUID]) -> None:
        self._documents = documents

    def scan(self, entity: str) -> Iterator[Mapping[UUID, int]]:
        yield dict.fromkeys(self._documents.get(entity, []), 0)


@pytest.fixture
def databases(warehouse: Cluster) -> Iterator[Databases]:
    with warehouse.connect() as server:
        server.execute("create database read_again")
    with warehouse.connect("read_again") as database:
        database.execute(CONTENT.encode())
    dsn = warehouse.dsn("read_again")
    yield Databases({schema: dsn for schema, _, _ in INDEXED.values()}, dsn, dsn)
    with warehouse.connect() as server:
        server.execute("drop database read_again with (force)")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([FIRST, SECOND], None),
        ([FIRST, FIRST, SECOND], "doubled"),
        ([SECOND], "lost to the lake"),
        ([FIRST, SECOND, NEVER], "only the lake has"),
    ],
    ids=["whole", "twice", "absent", "invented"],
)
def test_the_lake(databases: Databases, rows: list[str], fault: str | None) -> None:
    found: Any = lake_holds_each_change_once(databases, FakeLake(*rows))  # type: ignore[arg-type]
    assert [fault in words for words in found.faults] == ([] if fault is None else [True])


def test_what_waits_for_the_lake_is_not_lost(databases: Databases) -> None:
    with psycopg.connect(databases.warehouse, autocommit=True) as warehouse:
        warehouse.execute("insert into log.queue values ('lake', 2), ('refresh', 1)")
    assert lake_holds_each_change_once(databases, FakeLake(FIRST)).faults == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("documents", "faults"),
    [
        ({"account": [ACCOUNT]}, []),
        ({}, ["1 rows of contacts.account lost to search"]),
        ({"account": [ACCOUNT, GHOST]}, ["1 documents of account without a row"]),
    ],
    ids=["whole", "absent", "orphaned"],
)
def test_search(databases: Databases, documents: dict[str, list[UUID]], faults: list[str]) -> None:
    found = search_equals_documents(databases, FakeEngine(**documents))  # type: ignore[arg-type]
    assert [words.partition(":")[0] for words in found.faults] == faults
