"""The schema ``stream``: numbered files, each applied once, and the functions, applied at every migration."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import psycopg
from psycopg import sql

LOCK = 0x68775F7374726D  # "hw_strm": two migrations at once would apply a file twice
FUNCTIONS = "functions.sql"
FOR_SERVICES = (
    "claim(text, int, int)",
    "done(text, uuid[])",
    "fail(text, uuid, text, int, float)",
    "replay(text, uuid, uuid)",
    "subscribe(text, text[], text[])",
)
"""All that a service's role may execute; it has no right on any table."""


def migrate(connection: psycopg.Connection[tuple[object, ...]], service_roles: Iterable[str]) -> list[str]:
    """Brings the schema up to date in one transaction and returns the names of the files it applied.

    Run as ``hw_dispatch``, who owns the schema. ``service_roles`` are granted the functions, and nothing else.
    """
    applied = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute(
            "create table if not exists stream.schema_migration ("
            " name text primary key, applied_at timestamptz not null default now())"
        )
        seen = {name for (name,) in connection.execute("select name from stream.schema_migration")}
        files = {file.name: file for file in resources.files(__name__).iterdir() if file.name.endswith(".sql")}
        functions = files.pop(FUNCTIONS)
        for name in sorted(files.keys() - seen):
            connection.execute(files[name].read_text().encode())
            connection.execute("insert into stream.schema_migration (name) values (%s)", [name])
            applied.append(name)
        connection.execute(functions.read_text().encode())
        connection.execute("revoke all on all functions in schema stream from public")
        for role in service_roles:
            grantee = sql.Identifier(role)
            connection.execute(sql.SQL("grant usage on schema stream to {}").format(grantee))
            for function in FOR_SERVICES:
                connection.execute(
                    sql.SQL("grant execute on function stream.{} to {}").format(sql.SQL(function), grantee)
                )
    return applied
