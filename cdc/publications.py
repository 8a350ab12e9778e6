"""Publications that name their tables, and the check of what may be published at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cdc.errors import NotPublishable, PublicationMismatch

OPERATIONS: Final = ("insert", "update", "delete", "truncate")
"""All that a publication can stream."""


def check_publishable(
    connection: psycopg.Connection[Any], tables: Iterable[str], *, reserved: Collection[str] = ()
) -> None:
    """Raises NotPublishable naming every table (``schema.table``) that cannot be streamed and mirrored, and why.

    A table needs a primary key, must be permanent, and its replica identity must hold the key: DEFAULT or FULL. It may
    have no column called as the mirror's own, which are ``reserved``.
    """
    problems: dict[str, str] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for table in tables:
            schema, _, name = table.partition(".")
            row = cursor.execute(
                """
                select c.relpersistence, c.relreplident,
                  array(
                    select a.attname::text
                    from pg_catalog.pg_attribute a
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname = any(%s)
                    order by a.attname
                  ) as reserved,
                  exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed
                from pg_catalog.pg_class c
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')
                """,
                [list(reserved), schema, name],
            ).fetchone()
            if row is None:
                problems[table] = "there is no such table"
            elif row["relpersistence"] != "p":
                problems[table] = "it is temporary or unlogged, so its changes are not in the write-ahead log"
            elif not row["keyed"]:
                problems[table] = f"it has no primary key (alter table {table} add primary key (…))"
            elif row["relreplident"] not in ("d", "f"):
                problems[table] = f"its replica identity lacks the key (alter table {table} replica identity default)"
            elif row["reserved"]:
                problems[table] = f"its mirror has columns of its own called {', '.join(row['reserved'])} (rename them)"
    if problems:
        raise NotPublishable(problems)


def ensure_publication(
    connection: psycopg.Connection[Any],
    name: str,
    tables: Iterable[str],
    *,
    operations: Sequence[str] = OPERATIONS,
    reserved: Collection[str] = (),
) -> bool:
    """Makes the publication hold exactly ``tables`` (``schema.table``, at least one) and stream the ``operations`` on
    them; whether anything changed. ``reserved`` as in ``check_publishable``.

    Raises NotPublishable. The connection's role must own the tables (or be a superuser).
    """
    wanted = sorted(set(tables))
    if not wanted:
        raise ValueError(f"publication {name} needs at least one table")
    with connection.transaction():
        check_publishable(connection, wanted, reserved=reserved)
        present = _tables(connection, name)
        if present == set(wanted) and _operations(connection, name) == set(operations):
            return False
        listed = sql.SQL(", ").join(sql.Identifier(*table.split(".", 1)) for table in wanted)
        if present is None:
            command = sql.SQL("create publication {} for table {}")
        else:
            command = sql.SQL("alter publication {} set table {}")
        connection.execute(command.format(sql.Identifier(name), listed))
        connection.execute(
            sql.SQL("alter publication {} set (publish = {})").format(
                sql.Identifier(name), sql.Literal(", ".join(operations))
            )
        )
    return True


def verify_publication(connection: psycopg.Connection[Any], name: str, tables: Iterable[str]) -> None:
    """Raises PublicationMismatch if the publication is absent or holds other tables than ``tables``, and
    NotPublishable if one of them has become unfit."""
    wanted = set(tables)
    present = _tables(connection, name)
    if present != wanted:
        found = present or set()
        raise PublicationMismatch(
            name, missing=sorted(wanted - found), extra=sorted(found - wanted), exists=present is not None
        )
    check_publishable(connection, sorted(wanted))


def _tables(connection: psycopg.Connection[Any], name: str) -> set[str] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        if cursor.execute("select from pg_catalog.pg_publication where pubname = %s", [name]).fetchone() is None:
            return None
        rows = cursor.execute(
            "select schemaname || '.' || tablename as name from pg_catalog.pg_publication_tables where pubname = %s",
            [name],
        ).fetchall()
    return {row["name"] for row in rows}


def _operations(connection: psycopg.Connection[Any], name: str) -> set[str]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "select pubinsert as insert, pubupdate as update, pubdelete as delete, pubtruncate as truncate"
            " from pg_catalog.pg_publication where pubname = %s",
            [name],
        ).fetchone()
    return {operation for operation, streamed in (row or {}).items() if streamed}
