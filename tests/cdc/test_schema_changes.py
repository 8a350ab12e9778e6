"""Schema changes arrive in the stream, in order with the rows, and say what happened to each column."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from cdc.ddl import install, is_installed, remove
from cdc.errors import TriggerForbidden
from cdc.events import ChangeEvent, Item, SchemaChange
from tests.cdc.database import Database, items_of, read_until, schema_changes


@pytest.fixture
def watched(database: Database) -> Iterator[Database]:
    """Table ``item`` with three rows, published, the trigger installed and the slot made after that."""
    database.run(
        "create table item (id int primary key, name text, price numeric(10,2))",
        "alter table item replica identity full",
        "insert into item values (1, 'a', 1.00), (2, 'b', 2.00), (3, null, null)",
    )
    database.publish("public.item")
    install(database.connect())
    database.make_slot()
    return database


def stream(database: Database, marker: int = 999) -> list[Item]:
    """All items up to a marker row that this writes last."""
    database.run("create table if not exists marker (id int primary key)")
    with database.connect() as connection:
        connection.execute(f"alter publication {database.publication} add table marker".encode())
        connection.execute("insert into marker values (%s)", [marker])
    source = database.source()
    source.start(None)
    batches = read_until(
        source,
        lambda got: any(isinstance(item, ChangeEvent) and item.relation.table == "marker" for item in items_of(got)),
    )
    source.close()
    return [item for item in items_of(batches) if table_of(item) != "marker"]


def table_of(item: Item) -> str:
    if isinstance(item, ChangeEvent):
        return item.relation.table
    return item.table if isinstance(item, SchemaChange) else ""


def only(items: list[Item]) -> SchemaChange:
    (change,) = schema_changes(items)
    return change


def names(change: SchemaChange) -> tuple[list[str] | None, list[str] | None]:
    return (
        [column.name for column in change.before] if change.before is not None else None,
        [column.name for column in change.after] if change.after is not None else None,
    )


def test_an_added_column_without_default_needs_no_reread(watched: Database) -> None:
    watched.run("alter table item add column note varchar(20)")
    change = only(stream(watched))
    assert names(change) == (["id", "name", "price"], ["id", "name", "price", "note"])
    assert (change.schema, change.table, change.command, change.key) == ("public", "item", "ALTER TABLE", ("id",))
    assert change.after is not None
    assert (change.after[3].attnum, change.after[3].type_name) == (4, "character varying(20)")
    assert not change.rewrites


@pytest.mark.parametrize(
    "command",
    [
        "alter table item add column tier int not null default 7",
        "alter table item add column token uuid default gen_random_uuid()",
        "alter table item alter column price type bigint using (price * 100)::bigint",
        "alter table item alter column price type numeric(10,2) using price * 2",
        "alter table item alter column name type varchar(40)",
    ],
)
def test_changes_that_alter_rows_without_row_events_ask_for_a_reread(watched: Database, command: str) -> None:
    watched.run(command)
    items = stream(watched)
    assert only(items).rewrites
    assert not [item for item in items if isinstance(item, ChangeEvent)]


@pytest.mark.parametrize(
    "command",
    [
        "alter table item alter column price type numeric(12,2)",
        "alter table item alter column name set default 'x'",
        "alter table item alter column name set not null",
    ],
)
def test_changes_that_leave_rows_alone_are_told_without_a_reread(watched: Database, command: str) -> None:
    watched.run("update item set name = 'c', price = 3 where id = 3", command)
    change = only(stream(watched))
    assert change.before != change.after
    assert not change.rewrites


def test_a_rename_keeps_the_attribute_number(watched: Database) -> None:
    watched.run("alter table item rename column name to title")
    change = only(stream(watched))
    assert change.before is not None
    assert change.after is not None
    assert (change.before[1].attnum, change.before[1].name) == (2, "name")
    assert (change.after[1].attnum, change.after[1].name) == (2, "title")
    assert not change.rewrites


def test_a_dropped_column_is_gone_and_the_others_keep_their_numbers(watched: Database) -> None:
    watched.run("alter table item drop column name")
    change = only(stream(watched))
    assert change.after is not None
    assert [(column.attnum, column.name) for column in change.after] == [(1, "id"), (3, "price")]


def test_a_renamed_and_a_dropped_table_keep_their_relation_id(watched: Database) -> None:
    watched.run("alter table item rename to article", "drop table article")
    renamed, dropped = schema_changes(stream(watched))
    assert (renamed.relid, renamed.table) == (dropped.relid, "article")
    assert dropped.table == "article"
    assert dropped.after is None
    assert dropped.key == ("id",)


def test_a_table_is_told_when_it_is_published(watched: Database) -> None:
    watched.run(
        "create table empty (id int primary key)",
        "create table filled as select 1 as id",
        "alter table filled add primary key (id)",
        f"alter publication {watched.publication} add table empty, filled",
    )
    empty, filled = sorted(schema_changes(stream(watched)), key=lambda change: change.table)
    assert (empty.table, empty.before, empty.rewrites) == ("empty", None, False)
    assert (filled.table, filled.before, filled.rewrites) == ("filled", None, True)


def test_tables_that_are_not_streamed_say_nothing(watched: Database) -> None:
    watched.run(
        "create temp table item (id int); alter table item add column x int; drop table item",
        "create table private (id int primary key)",
        "alter table private add column secret text default 'x'",
        "drop table private",
        "create table elsewhere (id int primary key)",
        "create publication other for table elsewhere",
        "alter table elsewhere add column x int",
    )
    assert schema_changes(stream(watched)) == []


def test_a_rolled_back_change_leaves_no_trace(watched: Database) -> None:
    with watched.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("alter table item add column never int")
    with watched.connect() as connection, connection.transaction():
        with connection.transaction(force_rollback=True):
            connection.execute("alter table item add column nor_this int")
        connection.execute("alter table item add column kept int")
    change = only(stream(watched))
    assert names(change) == (["id", "name", "price"], ["id", "name", "price", "kept"])


def test_rows_and_schema_changes_of_one_transaction_arrive_in_their_order(watched: Database) -> None:
    with psycopg.connect(watched.dsn) as connection:
        for command in (
            "insert into item values (10, 'x', 1)",
            "alter table item add column tier int default 7",
            "insert into item values (11, 'y', 2, 8)",
            "alter table item rename column name to title",
            "alter table item drop column price",
            "update item set title = 'z' where id = 11",
            "alter table item rename to article",
            "delete from article where id = 10",
        ):
            connection.execute(command.encode())
    items = stream(watched)
    told = [
        (item.op, item.relation.table, item.relation.names, item.after or item.before)
        if isinstance(item, ChangeEvent)
        else ("ddl", table_of(item))
        for item in items
    ]
    assert told == [
        ("c", "item", ("id", "name", "price"), ["10", "x", "1.00"]),
        ("ddl", "item"),
        ("c", "item", ("id", "name", "price", "tier"), ["11", "y", "2.00", "8"]),
        ("ddl", "item"),
        ("ddl", "item"),
        ("u", "item", ("id", "title", "tier"), ["11", "z", "8"]),
        ("ddl", "article"),
        ("d", "article", ("id", "title", "tier"), ["10", "x", "7"]),
    ]
    assert [getattr(item, "seq", None) for item in items] == [0, 1, 1, 2, 2, 2, 3, 3]
    assert len({getattr(item, "xid", None) for item in items}) == 1


def test_a_change_of_primary_key_under_full_identity_is_right_for_each_row(watched: Database) -> None:
    """Read after both changes: the key of each row is that of its own moment."""
    watched.run(
        "update item set name = 'k' || id",
        "alter table item drop constraint item_pkey",
        "delete from item where id = 3",
        "alter table item add primary key (name)",
        "update item set price = 5 where id = 1",
    )
    keys = [item.key for item in stream(watched) if isinstance(item, ChangeEvent)]
    assert keys == [("1",), ("2",), ("3",), (), ("k1",)]


def test_keys_are_right_whichever_transaction_a_reader_begins_with(watched: Database) -> None:
    """A reader that starts between two schema changes has not seen the earlier one in the stream."""
    watched.run(
        "update item set name = 'k' || id",
        "alter table item drop constraint item_pkey",
        "alter table item add primary key (name)",
        "update item set price = 5 where id = 1",
        "alter table item rename column name to title",
        "update item set price = 6 where id = 2",
    )
    stored, keys = None, []
    while len(keys) < 5:
        source = watched.source()
        source.start(stored)
        (batch,) = read_until(source, lambda got: bool(got), max_changes=1)
        source.close()
        stored = batch.position
        keys += [item.key for item in items_of([batch]) if isinstance(item, ChangeEvent)]
    assert keys == [("1",), ("2",), ("3",), ("k1",), ("k2",)]


def test_a_change_inside_a_type_reaches_every_table_that_uses_it(watched: Database) -> None:
    watched.run(
        "create type mood as enum ('sad', 'happy')",
        "create type point2 as (x int, y int)",
        "create table face (id int primary key, mood mood, at point2[])",
        f"alter publication {watched.publication} add table face",
        "alter type mood add value 'calm'",
        "alter type mood rename value 'sad' to 'blue'",
        "alter type point2 rename attribute x to east cascade",
    )
    created, appended, renamed, composite = schema_changes(stream(watched))
    assert created.before is None
    assert not appended.rewrites
    assert renamed.rewrites
    assert composite.rewrites
    assert composite.before != composite.after


def test_installing_again_tells_what_was_missed(watched: Database) -> None:
    with watched.connect() as connection:
        assert is_installed(connection)
        connection.execute("alter event trigger headwater_ddl_command disable")
        assert not is_installed(connection)
        connection.execute("alter table item add column missed int")
        install(connection)
        install(connection)
        assert is_installed(connection)
    change = only(stream(watched))
    assert change.command == "INSTALL"
    assert names(change)[1] == ["id", "name", "price", "missed"]


def test_an_owner_without_superuser_rights_is_watched_and_cannot_touch_the_shadow(watched: Database) -> None:
    role = f"owner_{watched.name}"
    watched.run(
        f"create role {role}",
        f"alter table item owner to {role}",
        f"set role {role}; alter table item add column note text",
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        watched.run(f"set role {role}; delete from headwater_ddl.table_version")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        watched.run(f"set role {role}; select headwater_ddl.observe(array[1]::oid[], 'x')")
    assert names(only(stream(watched)))[1] == ["id", "name", "price", "note"]
    watched.run(f"drop owned by {role}", f"drop role {role}")


def test_a_role_that_may_not_install_the_trigger_is_told_what_follows(database: Database) -> None:
    role = f"tenant_{database.name}"
    database.run(f"create role {role}", f"grant create on database {database.name} to {role}")
    with database.connect() as connection:
        connection.execute(f"set role {role}".encode())
        with pytest.raises(TriggerForbidden, match=r"forbids the schema-change trigger .* polling its catalogue"):
            install(connection)
        connection.execute("reset role")
        assert not is_installed(connection)
        assert connection.execute("select to_regnamespace('headwater_ddl')").fetchone() == (None,), "nothing is left"
    database.run(f"drop owned by {role}", f"drop role {role}")


def test_the_trigger_is_taken_away_whole(watched: Database) -> None:
    with watched.connect() as connection:
        remove(connection)
        remove(connection)
        assert not is_installed(connection)
    watched.run("alter table item add column unseen int")
    assert schema_changes(stream(watched)) == []
