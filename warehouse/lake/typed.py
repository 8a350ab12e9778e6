"""Typed history of each source table: a view ``<service>.<table>`` in the lake, one row a change, columns as mirrored.

The views stand on ``log.changes``, which stays the only copy: a schema change alters a view, never a file. A column
that was renamed is read under the name it had at the time of each change; one that was retyped shows what of its old
values fits the new type (``log.changes`` has every value's text); one that was dropped stays.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import duckdb
import psycopg

from warehouse.lake.lineage import Column, Table, condition, tables, text
from warehouse.lake.place import literal, rows

TYPES: Final = {
    "uuid": "uuid",
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    # Four digits are money's and six are rates'; what has more is rounded here and whole in log.changes.
    "numeric": "decimal(38, 9)",
    "real": "float",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "interval": "interval",
    "jsonb": "json",
    "json": "json",
}
"""PostgreSQL's type → DuckDB's; any other, arrays included, stays PostgreSQL's text."""


def follow(session: duckdb.DuckDBPyConnection, log: psycopg.Connection[tuple[Any, ...]]) -> list[str]:
    """Makes, alters and drops views until they are as the mirrors are; names what it changed.

    ``session`` has the lake attached for writing, ``log`` is connected to the warehouse.
    """
    wanted = {(table.schema, table.name): _view(table) for table in tables(log)}
    standing = {
        (schema, name): comment
        for schema, name, comment in rows(
            session,
            "select schema_name, view_name, comment from duckdb_views() where database_name = 'lake' and not internal",
        )
    }
    stale = {name: body for name, body in wanted.items() if standing.get(name) != _digest(body)}
    gone = standing.keys() - wanted.keys()
    if not stale and not gone:
        return []
    session.execute("begin")
    for schema in sorted({schema for schema, _ in stale}):
        session.execute(f"create schema if not exists lake.{_quoted(schema)}")
    for schema, name in sorted(gone):
        session.execute(f"drop view lake.{_quoted(schema)}.{_quoted(name)}")
    for (schema, name), body in sorted(stale.items()):
        qualified = f"lake.{_quoted(schema)}.{_quoted(name)}"
        session.execute(f"create or replace view {qualified} as {body}")
        session.execute(f"comment on view {qualified} is {literal(_digest(body))}")
    session.execute("commit")
    return sorted(f"{schema}.{name}" for schema, name in stale.keys() | gone)


def _view(table: Table) -> str:
    columns = "".join(f",\n  {_value(column)} as {_quoted(column.name)}" for column in table.columns)
    return (
        "select committed_at as _committed_at, op as _op, op in ('d', 't') as _deleted, source as _source,"
        f" epoch as _epoch, xid as _xid, lsn as _lsn, seq as _seq, batch_id as _batch_id,"
        f" coalesce(commit_no, 0) as _commit_no, key as _key{columns}\n"
        f"from log.changes\nwhere {condition(table)}"
    )


def _value(column: Column) -> str:
    """The value after the change, before a deletion; the old one where the source sent none (unchanged TOAST)."""
    kind = TYPES.get(column.type_name)
    value = text(column, "after", "before")
    return f"try_cast({value} as {kind})" if kind else value


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
