"""What the database itself refuses to a service's role, whatever the application does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction, UndefinedTable

from tests.cast import Cast
from tests.transactional.kernel.books import NewBook
from tests.world import World


@pytest.fixture
def as_shelf(world: World) -> psycopg.Connection[tuple[Any, ...]]:
    return world.as_role("hw_shelf")


def test_a_service_reaches_its_own_tables(as_shelf: psycopg.Connection[tuple[Any, ...]]) -> None:
    as_shelf.execute("select * from book").fetchall()
    as_shelf.execute("insert into move select * from move where false")


@pytest.mark.parametrize("table", ["identity.user_account", "identity.credential", "identity.outbox"])
@pytest.mark.parametrize("statement", ["select * from {}", "delete from {}", "insert into {} default values"])
def test_another_services_tables_are_out_of_reach(
    as_shelf: psycopg.Connection[tuple[Any, ...]], table: str, statement: str
) -> None:
    with pytest.raises(InsufficientPrivilege):
        as_shelf.execute(statement.format(table).encode())


@pytest.mark.parametrize("table", ["move", "outbox", "inbox", "access_log", "external_reference"])
@pytest.mark.parametrize("statement", ["update {} set id = id", "delete from {}", "truncate {}"])
def test_append_only_tables_cannot_be_rewritten(
    as_shelf: psycopg.Connection[tuple[Any, ...]], table: str, statement: str
) -> None:
    text = statement.replace("id = id", "consumer = consumer") if table == "inbox" else statement
    with pytest.raises(InsufficientPrivilege):
        as_shelf.execute(text.format(table).encode())


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (id int)",
        "create table public.mine (id int)",
        "create schema mine",
        "alter table book add column mine int",
        "drop table book",
        "truncate book",
        "delete from django_migrations",
        "alter table outbox disable trigger all",
        "set role hw_shelf_owner",
        "set session_replication_role = replica",
    ],
)
def test_the_runtime_role_changes_no_schema(as_shelf: psycopg.Connection[tuple[Any, ...]], statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        as_shelf.execute(statement.encode())


def test_no_role_of_a_service_has_any_right_on_another_services_tables(world: World) -> None:
    found = world.rows(
        "select r.rolname, n.nspname, c.relname"
        " from pg_roles r, pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where r.rolname = any(%s) and c.relkind in ('r', 'p', 'v') and n.nspname = any(%s)"
        " and r.rolname not in ('hw_' || n.nspname, 'hw_' || n.nspname || '_owner')"
        " and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, references, trigger')",
        [
            [role for service in settings.HEADWATER_SERVICES for role in (f"hw_{service}", f"hw_{service}_owner")],
            list(settings.HEADWATER_SERVICES),
        ],
    )
    assert found == []


def test_every_append_only_table_of_every_service_is_one_for_the_database_too(world: World) -> None:
    checked = 0
    for service in settings.HEADWATER_SERVICES:
        for model in (*apps.get_app_config("kernel").get_models(), *apps.get_app_config(service).get_models()):
            if getattr(model, "append_only", False):
                (row,) = world.rows(
                    "select has_table_privilege(%s, %s, 'insert') as may_add,"
                    " has_table_privilege(%s, %s, 'update, delete, truncate') as may_rewrite",
                    [f"hw_{service}", f"{service}.{model._meta.db_table}"] * 2,
                )
                assert (row["may_add"], row["may_rewrite"]) == (True, False), (service, model)
                checked += 1
    assert checked >= 4 * len(settings.HEADWATER_SERVICES)


def test_the_replication_role_reads_what_is_published_and_no_secret(
    world: World, cast: Cast, new_book: NewBook
) -> None:
    new_book(cast.alice)
    with world.as_role("hw_replication") as reader:
        assert reader.execute("select count(*) from shelf.book").fetchone() != (0,)
        reader.execute("select * from shelf.outbox")
        for table in ("shelf.inbox", "shelf.idempotency_key", "identity.credential", "identity.signing_key"):
            with pytest.raises(InsufficientPrivilege):
                reader.execute(f"select * from {table}".encode())
        with pytest.raises((InsufficientPrivilege, ReadOnlySqlTransaction)):
            reader.execute("delete from shelf.book")


def test_publications_name_what_is_streamed_and_nothing_else(world: World) -> None:
    found = world.rows("select pubname, schemaname || '.' || tablename as name from pg_publication_tables")
    published = {row["name"] for row in found if row["pubname"] == "hw_landing"}
    assert {"shelf.book", "shelf.move", "shelf.access_log", "identity.user_account"} <= published
    machinery = {"inbox", "idempotency_key", "timer", "revocation", "django_migrations"}
    hidden = machinery | {"outbox", "credential", "login_session", "signing_key"}
    assert not {name for name in published if name.partition(".")[2] in hidden}
    dispatched = {row["name"] for row in found if row["pubname"] == "hw_dispatch"}
    assert dispatched
    assert {name.partition(".")[2] for name in dispatched} == {"outbox"}
    streamed = world.rows(
        "select pubname, pubinsert, pubupdate or pubdelete or pubtruncate as rest from pg_publication order by 1"
    )
    assert [tuple(row.values()) for row in streamed] == [
        ("hw_dispatch", True, False),
        ("hw_kafka", True, True),
        ("hw_landing", True, True),
    ]
    both = {row["name"] for row in found if row["pubname"] == "hw_kafka"}
    assert both == published | dispatched, "Debezium reads one publication: what landing and dispatch read"


def test_old_images_are_there_where_rows_change(world: World) -> None:
    found = world.rows(
        "select relname, relreplident from pg_class where relnamespace = 'shelf'::regnamespace and relkind = 'r'"
    )
    identity = {row["relname"]: row["relreplident"] for row in found}
    assert (identity["book"], identity["account_replica"]) == ("f", "f")
    assert (identity["outbox"], identity["move"], identity["access_log"]) == ("d", "d", "d")


def test_a_role_may_not_connect_to_a_database_without_its_schema(world: World, oltp: Any) -> None:
    dsn = oltp.dsn("stream", user="hw_shelf_owner", password=world.config.passwords["hw_shelf_owner"])
    with oltp.connect() as server:
        server.execute("revoke connect on database stream from public")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(dsn)


def test_migrations_are_recorded_for_the_services_own_apps_only(world: World) -> None:
    assert {row["app"] for row in world.rows("select distinct app from shelf.django_migrations")} == {"kernel", "shelf"}
    assert {row["app"] for row in world.rows("select distinct app from identity.django_migrations")} == {
        "kernel",
        "identity",
    }


def test_nothing_stands_in_the_public_schema(world: World) -> None:
    with pytest.raises(UndefinedTable):
        world.rows("select * from public.django_migrations")
