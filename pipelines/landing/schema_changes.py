"""Follows the source's schema changes in the mirror, inside the transaction of the batch that carries them.

Nothing here stops the stream. A table's mirror is compared with the change's "after", column by column by attribute
number, so a change that the mirror has seen already (its catalogue was read later) does nothing. What cannot follow is
recorded in ``log.schema_change.problems``: a view that no longer compiles, a type that an object outside forbids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
import psycopg

from cdc.catalogue import TableDefinition
from cdc.events import ColumnDefinition, SchemaChange
from cdc.failpoints import reach
from cdc.polling import UNPUBLISHED
from cdc.positions import format_lsn
from pipelines.landing.errors import is_refusal
from pipelines.landing.mirrors import Connection, LandedColumn, Mirror, Mirrors, landed_column
from pipelines.landing.text import timestamp_text
from warehouse import policies
from warehouse.mirror import REREAD, literal, qualified, quote, set_aside, truncate_sql
from warehouse.views import put_back, take_down


def apply_schema_change(
    connection: Connection, mirrors: Mirrors, epoch: int, change: SchemaChange, committed_at: int
) -> None:
    """Brings the mirror to ``change.after``, asks for a re-read where rows changed without events, records it all."""
    reach("ddl.before")
    problems: list[dict[str, str]] = []
    try:
        with connection.transaction():
            _follow(connection, mirrors, change, committed_at, problems)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        problems.append({"mirror": f"{change.schema}.{change.table}", "reason": str(error).strip()})
        mirrors.load()
    mirrors.forget_plans()
    mirror = mirrors.by_relid(change.relid)
    if change.rewrites and mirror is not None:
        request_reread(connection, epoch, mirrors.source, mirror, change)
    if change.description is not None:
        remember(connection, mirrors.source, {change.relid: change.description})
    elif change.after is None or change.command == UNPUBLISHED:
        forget(connection, mirrors.source, change.relid)
    _record(connection, mirrors.source, epoch, change, committed_at, problems)
    reach("ddl.after")


def request_reread(connection: Connection, epoch: int, source: str, mirror: Mirror, change: SchemaChange) -> None:
    """Asks for the table to be read again, its rows stamped with the change's position. Covers earlier requests."""
    connection.execute(
        "delete from log.snapshot where source = %s and relid = %s and purpose = 'reread' and finished_at is null",
        [source, mirror.relid],
    )
    connection.execute(
        "insert into log.snapshot (source, epoch, purpose, relid, stamp_lsn, stamp_seq, after_writers)"
        " values (%s, %s, 'reread', %s, %s, %s, %s) on conflict do nothing",
        [source, epoch, mirror.relid, format_lsn(change.lsn), change.seq, change.polled],
    )


def known_tables(connection: Connection, source: str) -> dict[int, Mapping[str, Any]]:
    """What ``remember`` keeps: relation id → description."""
    return dict(
        connection.execute("select relid, description from log.source_table where source = %s", [source]).fetchall()
    )


def remember(connection: Connection, source: str, tables: Mapping[int, Mapping[str, Any]]) -> None:
    """Keeps descriptions of tables as the source's catalogue gave them (``cdc.polling``)."""
    for relid, description in tables.items():
        connection.execute(
            "insert into log.source_table (source, relid, description) values (%s, %s, %s)"
            " on conflict (source, relid) do update set description = excluded.description",
            [source, relid, orjson.dumps(description).decode()],
        )


def forget(connection: Connection, source: str, relid: int | None = None) -> None:
    """Forgets the description of one table, or of all."""
    connection.execute(
        "delete from log.source_table where source = %s and relid = coalesce(%s, relid)", [source, relid]
    )


def _follow(
    connection: Connection, mirrors: Mirrors, change: SchemaChange, committed_at: int, problems: list[dict[str, str]]
) -> None:
    if not mirrors.is_mirrored(change.table):
        return
    mirror = mirrors.by_relid(change.relid)
    if change.after is None:
        if mirror is not None:
            _drop(connection, mirrors, mirror, change, committed_at)
        return
    _follow_table(
        connection, mirrors, mirror, change.relid, change.schema, change.table, change.after, change.key, problems
    )


def _follow_table(
    connection: Connection,
    mirrors: Mirrors,
    mirror: Mirror | None,
    relid: int,
    schema: str,
    table: str,
    columns: tuple[ColumnDefinition, ...],
    key: tuple[str, ...],
    problems: list[dict[str, str]],
) -> None:
    if mirror is None:
        mirror = mirrors.named(schema, table)
        if mirror is None:
            if key:
                mirrors.create(schema, table, relid, [landed_column(column) for column in columns], key)
            return
        mirrors.adopt(mirror, relid)
    if (mirror.schema, mirror.table) != (schema, table):
        mirrors.rename(mirror, schema, table)
    _follow_columns(connection, mirrors, mirror, columns, problems)
    if key and set(key) != set(mirror.key):
        try:
            with connection.transaction():
                _change_key(connection, mirror, key)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            # Rows may have no value for it yet, until the table was read again: settle_key tries once more then.
            problems.append({"mirror": f"{schema}.{table}", "key": ", ".join(key), "reason": str(error).strip()})


def settle_key(connection: Connection, mirrors: Mirrors, relid: int, stamp_lsn: int) -> None:
    """Once a table was read (again): gives its mirror the primary key that its rows could not take before.

    Rows from before the stamp that the read did not find, and that have no value for the key or the key of one that it
    did find, are gone from the source: their deletion is on its way, and will find another place.
    """
    mirror = mirrors.by_relid(relid)
    known = connection.execute(
        "select array(select jsonb_array_elements_text(description -> 'key')) from log.source_table"
        " where source = %s and relid = %s",
        [mirrors.source, relid],
    ).fetchone()
    if mirror is None or known is None or not known[0] or set(known[0]) == set(mirror.key):
        return
    if not set(known[0]) <= mirror.columns.keys():
        return
    try:
        with connection.transaction():
            table, before = qualified(mirror.schema, mirror.table), "({0}._lsn, {0}._seq) < (%(lsn)s, %(seq)s)"
            absent = " or ".join(f"m.{quote(name)} is null" for name in known[0])
            same = " and ".join(f"found.{quote(name)} = m.{quote(name)}" for name in known[0])
            connection.execute(
                f"delete from {table} m where {before.format('m')} and ({absent}"
                f" or exists (select from {table} found where {same} and not {before.format('found')}))".encode(),
                {"lsn": format_lsn(stamp_lsn), "seq": REREAD},
            )
            _change_key(connection, mirror, tuple(known[0]))
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        return
    mirrors.forget_plans()
    connection.execute(
        "update log.schema_change set problems = (select coalesce(jsonb_agg(problem), '[]')"
        " from jsonb_array_elements(problems) problem where not problem ? 'key')"
        " where source = %s and relid = %s and problems <> '[]'",
        [mirrors.source, relid],
    )


def _drop(connection: Connection, mirrors: Mirrors, mirror: Mirror, change: SchemaChange, committed_at: int) -> None:
    """The source's table is gone: every row is deleted as of now, the mirror stays."""
    psycopg.RawCursor(connection).execute(
        truncate_sql(mirror.schema, mirror.table).encode(),
        [format_lsn(change.lsn), str(change.seq), timestamp_text(committed_at)],
    )
    connection.execute(
        "update log.mirror set dropped_at = now() where schema_name = %s and table_name = %s",
        [mirror.schema, mirror.table],
    )
    mirror.dropped = True


def follow_definition(connection: Connection, mirrors: Mirrors, definition: TableDefinition) -> Mirror | None:
    """Brings a table's mirror to what the catalogue says at this moment; None for a table without one.

    Raises psycopg.Error if the mirror cannot follow.
    """
    if not mirrors.is_mirrored(definition.table) or not definition.key:
        return None
    mirror = mirrors.by_relid(definition.relid)
    _follow_table(
        connection,
        mirrors,
        mirror,
        definition.relid,
        definition.schema,
        definition.table,
        definition.columns,
        definition.key,
        [],
    )
    mirrors.forget_plans()
    return mirrors.by_relid(definition.relid)


def _follow_columns(
    connection: Connection,
    mirrors: Mirrors,
    mirror: Mirror,
    after: tuple[ColumnDefinition, ...],
    problems: list[dict[str, str]],
) -> None:
    wanted = [landed_column(definition) for definition in after]
    numbers = {column.attnum for column in wanted}
    names = {column.name for column in wanted}
    for column in list(mirror.columns.values()):
        gone = column.name not in names if column.attnum is None else column.attnum not in numbers
        if gone and not column.dropped:
            _flag_dropped(connection, mirrors, mirror, column)
    for column in wanted:
        present = next((c for c in mirror.columns.values() if c.attnum == column.attnum), None)
        if present is None:
            present = mirror.columns.get(column.name)
            if present is not None and present.attnum is not None:
                # Another attribute of this name stands here: one that was dropped, whose values are not this one's,
                # or one that a later change of the stream has renamed to it, which then gets its own name again.
                if present.dropped:
                    _retype(connection, mirrors, mirror, present.name, column, problems, keep_values=False)
                    continue
                mirrors.rename_column(mirror, present.name, set_aside(present.name, present.attnum))
                present = None
        if present is None:
            mirrors.add_column(mirror, column)
            continue
        if present.name != column.name:
            occupant = mirror.columns.get(column.name)
            if occupant is not None:
                mirrors.rename_column(mirror, occupant.name, set_aside(occupant.name, occupant.attnum or "old"))
            mirrors.rename_column(mirror, present.name, column.name)
        if present.type_name != column.type_name:
            _retype(connection, mirrors, mirror, column.name, column, problems, keep_values=True)
        elif present != column:
            mirrors.record(mirror, column)


def _flag_dropped(connection: Connection, mirrors: Mirrors, mirror: Mirror, column: LandedColumn) -> None:
    column.dropped = True
    mirrors.record(mirror, column)
    connection.execute(
        f"comment on column {qualified(mirror.schema, mirror.table)}.{quote(column.name)}"
        " is 'Dropped by the source; the values are the last it had.'".encode()
    )


def _retype(
    connection: Connection,
    mirrors: Mirrors,
    mirror: Mirror,
    name: str,
    column: LandedColumn,
    problems: list[dict[str, str]],
    *,
    keep_values: bool,
) -> None:
    """Changes a column's type; views that depend on the table, and policies that read the column, are down meanwhile.

    A value that the new type cannot hold becomes NULL: the source converted it in a way only the source knows, and the
    re-read that follows brings what it made of it.
    """
    table = qualified(mirror.schema, mirror.table)
    views = take_down(connection, table)
    readers = policies.take_down(connection, table, name)
    reach("ddl.views_down")
    alter = f"alter table {table} alter column {quote(name)} type {column.type_name} using "
    if keep_values:
        text = f"{quote(name)}::text"
        try:
            with connection.transaction():
                connection.execute(f"{alter}{quote(name)}::{column.type_name}".encode())
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            valid = (
                f"case when pg_input_is_valid({text}, {literal(column.type_name)}) then {text}::{column.type_name} end"
            )
            connection.execute(f"{alter}{valid}".encode())
    else:
        connection.execute(f"{alter}null::{column.type_name}".encode())
        connection.execute(f"comment on column {table}.{quote(name)} is null".encode())
    mirrors.record(mirror, column)
    problems.extend(asdict(lost) for lost in policies.put_back(connection, readers))
    problems.extend(asdict(lost) for lost in put_back(connection, views))


def _change_key(connection: Connection, mirror: Mirror, key: tuple[str, ...]) -> None:
    """Another primary key. Deleted rows go: they may have no value for it, or one that a live row has now."""
    table = qualified(mirror.schema, mirror.table)
    (constraint,) = connection.execute(
        "select conname from pg_constraint where conrelid = %s::regclass and contype = 'p'", [table]
    ).fetchone() or (None,)
    if constraint is not None:
        connection.execute(f"alter table {table} drop constraint {quote(constraint)}".encode())
    for name in mirror.key:
        if name not in key:
            connection.execute(f"alter table {table} alter column {quote(name)} drop not null".encode())
    connection.execute(f"delete from {table} where _deleted".encode())
    connection.execute(f"alter table {table} add primary key ({', '.join(map(quote, key))})".encode())
    connection.execute(
        "update log.mirror set key = %s where schema_name = %s and table_name = %s",
        [list(key), mirror.schema, mirror.table],
    )
    mirror.key = key


def _record(
    connection: Connection,
    source: str,
    epoch: int,
    change: SchemaChange,
    committed_at: int,
    problems: list[dict[str, str]],
) -> None:
    connection.execute(
        "insert into log.schema_change (source, epoch, xid, lsn, seq, relid, schema_name, table_name, command, before,"
        " after, rewrites, committed_at, problems)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            source,
            epoch,
            change.xid,
            format_lsn(change.lsn),
            change.seq,
            change.relid,
            change.schema,
            change.table,
            change.command,
            _columns(change.before),
            _columns(change.after),
            change.rewrites,
            timestamp_text(committed_at),
            orjson.dumps(problems).decode(),
        ],
    )


def _columns(definitions: tuple[ColumnDefinition, ...] | None) -> str | None:
    if definitions is None:
        return None
    described: list[dict[str, Any]] = [
        {"attnum": d.attnum, "name": d.name, "type": d.type_name, "not_null": d.not_null, "default": d.default}
        for d in definitions
    ]
    return orjson.dumps(described).decode()
