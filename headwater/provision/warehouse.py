"""Makes the database ``warehouse``, its roles and its schemas. Running it again changes nothing but passwords."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
from psycopg import sql

from headwater.config import Config
from warehouse.change_log import ensure_partitions
from warehouse.schema import migrate

DATABASE = "warehouse"
LOGINS = ("wh_owner", "wh_api", "wh_lake")
ANALYSTS = "wh_analyst"


def provision(config: Config) -> None:
    """Roles, database, schemas ``log`` and ``ops`` with their tables, and today's partitions.

    ``wh_api`` reads everything ``wh_owner`` makes, now and later; row-level security on marts narrows that.
    ``wh_analyst`` (no login, a group) gets the database and nothing in it: each mart grants itself.
    """
    with psycopg.connect(config.url(config.warehouse, "postgres", "postgres"), autocommit=True) as server:
        for role in LOGINS:
            _login(server, role, config.passwords[role])
        _role(server, ANALYSTS, "nologin")
        if not server.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
            server.execute(sql.SQL("create database {} owner wh_owner").format(sql.Identifier(DATABASE)))
        database = sql.Identifier(DATABASE)
        server.execute(sql.SQL("revoke all on database {} from public").format(database))
        server.execute(sql.SQL("grant connect on database {} to wh_api, wh_analyst").format(database))
    with psycopg.connect(config.warehouse_url("wh_owner"), autocommit=True) as owner:
        owner.execute("alter default privileges grant usage on schemas to wh_api")
        owner.execute("alter default privileges grant select on tables to wh_api")
        migrate(owner)
        ensure_partitions(owner, datetime.now(UTC).date())


def _login(server: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    _role(server, role, "login")
    server.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password)))


def _role(server: psycopg.Connection[tuple[object, ...]], role: str, options: str) -> None:
    if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
        server.execute(sql.SQL("create role {} ").format(sql.Identifier(role)) + sql.SQL(options))
