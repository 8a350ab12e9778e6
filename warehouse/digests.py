"""One number over all rows of a table, whatever their order: what a rebuild is measured by."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

SCHEMAS: Final = ("marts", "reporting")

Digest = tuple[int, int]
"""(rows, sum of the first 60 bits of every row's md5)."""


def mirrors(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Digest]:
    """``raw_<service>.<table>`` → digest, its rows' versions and deleted rows included."""
    return _digests(
        connection,
        "select 'raw_' || schema_name, table_name from log.mirror"
        " where to_regclass(format('%I.%I', 'raw_' || schema_name, table_name)) is not null order by 1, 2",
    )


def marts(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Digest]:
    """``marts.<model>`` and ``reporting.<model>`` → digest."""
    return _digests(
        connection,
        "select table_schema, table_name from information_schema.tables"
        f" where table_schema in {SCHEMAS} and table_type = 'BASE TABLE' order by 1, 2",
    )


def _digests(connection: psycopg.Connection[tuple[Any, ...]], tables: str) -> dict[str, Digest]:
    found = {}
    for schema, table in connection.execute(tables.encode()).fetchall():
        row = connection.execute(
            sql.SQL(
                "select count(*), coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0) from {} as t"
            ).format(sql.Identifier(schema, table))
        ).fetchone()
        assert row is not None
        found[f"{schema}.{table}"] = (int(row[0]), int(row[1]))
    return found
