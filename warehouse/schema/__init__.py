"""Numbered SQL files that make the schemas ``log`` and ``ops``, and the runner that applies each of them once."""

from __future__ import annotations

from importlib import resources

import psycopg

LOCK = 0x68775F6D696772  # "hw_migr": two runners at once would apply a file twice


def migrate(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Applies the files that this database has not seen, in order, all in one transaction; returns their names.

    Run as the database's owner (``wh_owner``), who then owns what the files make.
    """
    applied = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute("create schema if not exists ops")
        connection.execute(
            "create table if not exists ops.schema_migration ("
            " name text primary key, applied_at timestamptz not null default now())"
        )
        seen = {name for (name,) in connection.execute("select name from ops.schema_migration")}
        files = sorted(
            (f for f in resources.files(__name__).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name
        )
        for file in files:
            if file.name in seen:
                continue
            connection.execute(file.read_text().encode())
            connection.execute("insert into ops.schema_migration (name) values (%s)", [file.name])
            applied.append(file.name)
    return applied
