"""The log schema is made once, its partitions ahead of time, and roles see what they may."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest
from psycopg import errors

from headwater.config import Config, Server
from headwater.embedded.postgres import Cluster
from headwater.provision.warehouse import provision
from tests.passwords import PASSWORDS
from warehouse.change_log import DAYS_AHEAD, ensure_partitions
from warehouse.mirror import mirror_type, set_aside
from warehouse.schema import migrate


@pytest.fixture(scope="module")
def config(warehouse: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Config:
    server = Server("127.0.0.1", warehouse.port, warehouse.password)
    config = Config(str(tmp_path_factory.mktemp("home")), server, server, 0, "unused", PASSWORDS)
    provision(config)
    provision(config)
    return config


def connect(config: Config, role: str = "wh_owner") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(config.warehouse_url(role), autocommit=True)


def test_migrations_are_applied_once(config: Config) -> None:
    with connect(config) as connection:
        assert migrate(connection) == []


def test_partitions_are_made_ahead_and_again_without_harm(config: Config) -> None:
    with connect(config) as connection:
        for _ in range(2):
            assert ensure_partitions(connection, date(2031, 12, 30)) == date(2032, 1, 2)
        names = connection.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'log.change_log'::regclass and inhrelid::regclass::text like '%_203%' order by 1"
        ).fetchall()
    assert [name for (name,) in names] == [
        "log.change_log_20311230",
        "log.change_log_20311231",
        "log.change_log_20320101",
        "log.change_log_20320102",
    ]
    assert len(names) == DAYS_AHEAD + 1


def test_the_change_log_refuses_a_change_twice(config: Config) -> None:
    values = "(current_date, 1, 's', 1, 10, '0/10', 0, 'c', 'a', 'b', '{}', null, '{}', now())"
    row = f"insert into log.change_log values {values}".encode()
    with connect(config) as connection, connection.transaction(force_rollback=True):
        connection.execute(row)
        with pytest.raises(errors.UniqueViolation):
            connection.execute(row)


def test_the_read_api_reads_what_the_owner_makes_and_writes_nothing(config: Config) -> None:
    with connect(config) as owner:
        owner.execute("create schema raw_later; create table raw_later.thing (id int)")
    with connect(config, "wh_api") as api:
        assert api.execute("select count(*) from raw_later.thing").fetchone() == (0,)
        assert api.execute("select count(*) from log.position").fetchone() == (0,)
        for statement in ("insert into raw_later.thing values (1)", "delete from log.change_log", "create schema mine"):
            with pytest.raises(errors.InsufficientPrivilege):
                api.execute(statement.encode())


def test_what_nobody_declared_readable_shows_the_read_api_nothing(config: Config) -> None:
    """Asked by its own name, a partition does not have its parent's row security; what was refused holds whole rows."""
    with connect(config) as owner:
        (partition,) = owner.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'log.change_log'::regclass limit 1"
        ).fetchone() or ("",)
        tables = ["log.change_log", partition, "log.parked", "log.source_table"]
        closed = owner.execute(
            "select count(*) from pg_class where relrowsecurity and oid = any(%s::regclass[])", [tables]
        ).fetchone()
        assert closed == (len(tables),)
        owner.execute(
            "insert into log.source_table (source, relid, description) values ('closed', 1, '{\"table\": \"secret\"}')"
        )
    with connect(config, "wh_api") as api:
        for table in tables:
            assert api.execute(f"select count(*) from {table}".encode()).fetchone() == (0,)


def test_an_analyst_sees_neither_mirror_nor_log(config: Config, warehouse: Cluster) -> None:
    with connect(config) as owner:
        owner.execute("create schema if not exists raw_hidden; create table if not exists raw_hidden.thing (id int)")
    with psycopg.connect(warehouse.dsn("warehouse"), autocommit=True) as connection:
        connection.execute("set role wh_analyst")
        for table in ("raw_hidden.thing", "log.change_log", "log.transactions"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}".encode())


@pytest.mark.parametrize(
    ("source", "mirror"),
    [
        ("numeric(19,4)", "numeric"),
        ("numeric(10,-2)[]", "numeric[]"),
        ("character(3)", "bpchar"),
        ("character(3)[]", "bpchar[]"),
        ("character varying(20)", "character varying"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
        ("bit(8)", "bit varying"),
        ("xml", "text"),
        ("interval year to month", "interval year to month"),
        ('"char"', '"char"'),
        ("jsonb", "jsonb"),
    ],
)
def test_a_mirror_column_has_the_sources_type_without_its_limits(config: Config, source: str, mirror: str) -> None:
    assert mirror_type(source) == mirror
    with connect(config) as connection:
        connection.execute(f"select null::{mirror}".encode())


@pytest.mark.parametrize(
    ("name", "mark", "aside"),
    [("note", 4, "note__4"), ("x" * 63, 12, "x" * 59 + "__12"), ("é" * 31, 4, "é" * 30 + "__4")],
)
def test_what_is_set_aside_has_a_name_that_postgresql_does_not_cut(name: str, mark: int, aside: str) -> None:
    assert set_aside(name, mark) == aside
    assert len(aside.encode()) <= 63
