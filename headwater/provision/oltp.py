"""Makes the OLTP side exist: roles, databases, schemas, tables, grants, publications. Running it again changes nothing.

Each service's role reaches its own schema and nothing else; on append-only tables it may only insert and read. The
owner role migrates. ``hw_replication`` reads what is published.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import psycopg
from django.apps import apps
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from cdc import ddl, row_records
from cdc.errors import TriggerForbidden
from cdc.publications import ensure_publication
from headwater.config import SERVICES, Config
from headwater.provision.names import DISPATCH, KAFKA, LANDING, STREAM_DATABASE
from warehouse.mirror import VERSION as MIRROR_COLUMNS

Connection = psycopg.Connection[Any]


def provision(config: Config, services: Sequence[str] = SERVICES) -> None:
    """Everything of the OLTP side, for every database that a service lives in. Needs superusers' passwords.

    Slots are made elsewhere, after this.
    """
    provision_schemas(config, services)
    if "identity" in services:
        _publish_keys(Path(config.home) / "keys" / "jwks.json")


def provision_schemas(config: Config, services: Sequence[str]) -> None:
    """The same without any row of the services: their databases as they are before anybody writes."""
    databases: dict[str, list[str]] = {}
    for service in services:
        databases.setdefault(config.service_url(service, role="postgres"), []).append(service)
    for url, hosted in databases.items():
        with _connect(url, database="postgres") as server:
            _roles(server, config, hosted)
            _database(server, urlsplit(url).path.strip("/"), hosted)
        with _connect(url) as database:
            _schemas(database, hosted)
    with _connect(config.stream_url("postgres"), database="postgres") as server:
        _roles(server, config, services)
        _create(server, STREAM_DATABASE)
    for service in services:
        migrate_service(service)
    for url, hosted in databases.items():
        with _connect(url) as database:
            for service in hosted:
                _grants(database, service)
            publications(database, hosted)
            schema_changes(database, config)


def migrate_service(service: str) -> None:
    """Brings the kernel's and the service's tables up to date, as the service's owner.

    Both apps are named: ``migrate --database`` alone would record every app as applied in this schema.
    """
    setup_django()
    for app in ("kernel", service):
        call_command("migrate", app, database=f"{service}_owner", verbosity=0, interactive=False)
    connections[f"{service}_owner"].close()


def published_tables(service: str) -> list[str]:
    """``schema.table`` of everything the service streams."""
    return [f"{service}.{name}" for name, model in _tables(service).items() if model.published]


def grant_connect(server: Connection, database: str, services: Sequence[str]) -> None:
    """Only the services that live in a database may connect to it, beside their owners and the replication role."""
    name = sql.Identifier(database)
    server.execute(sql.SQL("revoke all on database {} from public").format(name))
    roles = [sql.Identifier(role) for s in services for role in (f"hw_{s}", f"hw_{s}_owner")]
    roles.append(sql.Identifier("hw_replication"))
    server.execute(sql.SQL("grant connect on database {} to {}").format(name, sql.SQL(", ").join(roles)))
    gone = [role for s in SERVICES if s not in services for role in (f"hw_{s}", f"hw_{s}_owner")]
    for (role,) in server.execute("select rolname from pg_roles where rolname = any(%s::name[])", [gone]).fetchall():
        server.execute(sql.SQL("revoke connect on database {} from {}").format(name, sql.Identifier(role)))


def setup_django() -> None:
    """Loads the settings and the apps, once per process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headwater.settings")
    if not apps.ready:
        django.setup()


def _publish_keys(path: Path) -> None:
    """Makes the first signing key, and the file by which every service checks tokens."""
    from transactional.identity import tokens  # its models need Django, which is set up only now

    tokens.signing_key()
    tokens.publish_keys(path)
    connections["identity"].close()


def _connect(url: str, *, database: str | None = None) -> Connection:
    parts = urlsplit(url)
    return psycopg.connect(parts._replace(path=f"/{database}").geturl() if database else url, autocommit=True)


def _roles(server: Connection, config: Config, services: Sequence[str]) -> None:
    logins = [role for service in services for role in (f"hw_{service}", f"hw_{service}_owner")]
    for role in (*logins, "hw_dispatch", "hw_replication"):
        name = sql.Identifier(role)
        if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
            server.execute(sql.SQL("create role {}").format(name))
        options = sql.SQL("login replication" if role == "hw_replication" else "login noreplication")
        server.execute(
            sql.SQL("alter role {} {} nosuperuser nocreatedb nocreaterole password {}").format(
                name, options, sql.Literal(config.passwords[role])
            )
        )
    for service in services:
        for role in (f"hw_{service}", f"hw_{service}_owner"):
            server.execute(
                sql.SQL("alter role {} set search_path = {}").format(sql.Identifier(role), sql.Identifier(service))
            )


def _create(server: Connection, database: str) -> None:
    if not server.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
        server.execute(sql.SQL("create database {}").format(sql.Identifier(database)))


def _database(server: Connection, database: str, services: Sequence[str]) -> None:
    _create(server, database)
    grant_connect(server, database, services)


def _schemas(database: Connection, services: Sequence[str]) -> None:
    database.execute("revoke all on schema public from public")
    for service in services:
        names = {
            "schema": sql.Identifier(service),
            "owner": sql.Identifier(f"hw_{service}_owner"),
            "runtime": sql.Identifier(f"hw_{service}"),
        }
        for statement in (
            "create schema if not exists {schema} authorization {owner}",
            "grant usage on schema {schema} to {runtime}, hw_replication",
            "alter default privileges for role {owner} in schema {schema}"
            " grant select, insert, update, delete on tables to {runtime}",
            "alter default privileges for role {owner} in schema {schema} grant usage on sequences to {runtime}",
        ):
            database.execute(sql.SQL(statement).format(**names))


def _tables(service: str) -> dict[str, Any]:
    """Table name → model, of the service's app and the kernel's."""
    setup_django()
    return {
        model._meta.db_table: model
        for label in ("kernel", service)
        for model in apps.get_app_config(label).get_models()
        if model._meta.managed and not model._meta.proxy
    }


def _grants(database: Connection, service: str) -> None:
    """What default privileges cannot say: append-only tables, what is published and how, the migrations' own table."""
    runtime = sql.Identifier(f"hw_{service}")
    database.execute(
        sql.SQL("revoke insert, update, delete on {} from {}").format(
            sql.Identifier(service, "django_migrations"), runtime
        )
    )
    for name, model in _tables(service).items():
        table = sql.Identifier(service, name)
        if model.append_only:
            database.execute(sql.SQL("revoke update, delete, truncate on {} from {}").format(table, runtime))
        if not model.published:
            database.execute(sql.SQL("revoke select on {} from hw_replication").format(table))
            continue
        database.execute(sql.SQL("grant select on {} to hw_replication").format(table))
        wanted = "d" if model.append_only else "f"
        found = database.execute(
            "select relreplident from pg_class where oid = %s::regclass", [f"{service}.{name}"]
        ).fetchone()
        if found is None or found[0] != wanted:
            identity = sql.SQL("default" if wanted == "d" else "full")
            database.execute(sql.SQL("alter table {} replica identity {}").format(table, identity))
        row_records.ensure(database, service, name)


def schema_changes(database: Connection, config: Config) -> None:
    """The event trigger that tells the stream; landing polls the catalogue where it is forbidden, or not wanted."""
    if config.polls_schema_changes():
        ddl.remove(database)
        return
    with suppress(TriggerForbidden):  # `headwater doctor` says so, for as long as it is true
        ddl.install(database)


def publications(database: Connection, services: Sequence[str]) -> None:
    """Landing reads the first two, or the third. Of outboxes only inserts are news: rows end by retention."""
    outboxes = [f"{service}.outbox" for service in services]
    published = {table for service in services for table in published_tables(service)}
    ensure_publication(database, LANDING, published.difference(outboxes), reserved=[name for name, _ in MIRROR_COLUMNS])
    ensure_publication(database, DISPATCH, outboxes, operations=["insert"])
    # Made in every profile: what a slot decodes must have been published when it was written.
    ensure_publication(database, KAFKA, published | set(outboxes), reserved=[name for name, _ in MIRROR_COLUMNS])
