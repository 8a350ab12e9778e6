"""Has each row that COPY writes be a record of the write-ahead log of its own, as those of INSERT are.

By itself COPY writes the rows of a page as one record, and they share an LSN. Debezium notes how far it has come by
LSN: where it dies with the first of them noted alone, it goes on behind the others (docs/decisions/0073). PostgreSQL
joins no rows of a table that has a trigger before each row (``CopyFrom`` in its ``copyfrom.c``), also one that never
fires; 1,000 outbox rows took 4.1 ms instead of 4.0.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

NAME: Final = "headwater_row_records"

_FOUND: Final = "select from pg_trigger where tgrelid = %s::regclass and tgname = %s"


def ensure(connection: psycopg.Connection[Any], schema: str, table: str) -> None:
    """Makes the trigger unless it stands; the role must own the table."""
    name = sql.Identifier(schema, table)
    if connection.execute(_FOUND, [name.as_string(connection), NAME]).fetchone() is None:
        connection.execute(
            sql.SQL(
                "create trigger {} before insert on {} for each row when (false)"
                # Any function of the right kind: it is never called.
                " execute function pg_catalog.suppress_redundant_updates_trigger()"
            ).format(sql.Identifier(NAME), name)
        )
