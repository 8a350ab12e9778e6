"""Makes the database of Dagster's storage and its role, in the warehouse cluster. Running it again changes nothing."""

from __future__ import annotations

import psycopg
from psycopg import sql

from headwater.config import Config

DATABASE = "dagster"
ROLE = "wh_dagster"


def provision(config: Config) -> None:
    """Role and database; Dagster makes its own tables. The role owns that database and may enter no other."""
    with psycopg.connect(config.url(config.warehouse, "postgres", "postgres"), autocommit=True) as server:
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        if not server.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone():
            server.execute(sql.SQL("create role {} login").format(role))
        server.execute(sql.SQL("alter role {} password {}").format(role, sql.Literal(config.passwords[ROLE])))
        if not server.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
            server.execute(sql.SQL("create database {} owner {}").format(database, role))
        server.execute(sql.SQL("revoke all on database {} from public").format(database))
