"""A stream database with the roles of three services, as tests see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from headwater.embedded.postgres import Cluster
from pipelines.dispatch.schema import migrate
from tests.transactional.settings import CONFIG

SERVICES = ("contacts", "finance", "orders")
# A cluster's roles are shared by every test of a run, so their passwords are the same everywhere.
PASSWORDS = CONFIG.passwords


@dataclass
class StreamDatabase:
    cluster: Cluster
    name: str

    def dsn(self, role: str) -> str:
        return self.cluster.dsn(self.name, user=role, password=PASSWORDS[role])

    def connect(self, role: str = "hw_dispatch", **options: Any) -> psycopg.Connection[dict[str, Any]]:
        """An autocommit connection; rows are dictionaries."""
        return psycopg.connect(self.dsn(role), autocommit=True, row_factory=dict_row, **options)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def subscribe(self, consumer: str, *event_types: str) -> None:
        self.rows("select stream.subscribe(%s, %s, %s)", consumer, list(event_types), ["*"] * len(event_types))

    def deliver(
        self,
        consumer: str,
        aggregates: Sequence[uuid.UUID],
        *,
        producer: str = "contacts",
        type: str = "ACCOUNT_UPDATED",
        payloads: Sequence[Any] = (),
    ) -> list[uuid.UUID]:
        """One delivery per given aggregate, in that order, as dispatch would insert them; returns the event ids.

        Versions count from 1; ``payloads`` are one for each or none.
        """
        events = [uuid.uuid4() for _ in aggregates]
        self.rows(
            "insert into stream.delivery (consumer, event_id, source, producer, aggregate_type, aggregate_id,"
            " aggregate_version, type, schema_version, payload, occurred_at)"
            " select %s, e.event_id, 'headwater', %s, 'account', e.aggregate_id, e.n, %s, 1, e.payload::jsonb, now()"
            " from unnest(%s::uuid[], %s::uuid[], %s::text[]) with ordinality as e(event_id, aggregate_id, payload, n)"
            " order by e.n returning pg_notify('hw_delivery_' || consumer, '')",
            consumer,
            producer,
            type,
            events,
            list(aggregates),
            [json.dumps(payload, default=str) for payload in payloads or [{}] * len(events)],
        )
        return events


def ensure_roles(cluster: Cluster, roles: Sequence[str]) -> None:
    with cluster.connect() as server:
        for role in roles:
            if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                server.execute(f"create role {role} login".encode())
            server.execute(f"alter role {role} password '{PASSWORDS[role]}'".encode())


def create_stream_database(cluster: Cluster, name: str, services: Sequence[str] = SERVICES) -> StreamDatabase:
    """A migrated stream database; its roles are made where they are missing."""
    roles = [f"hw_{service}" for service in services]
    ensure_roles(cluster, ["hw_dispatch", *roles])
    with cluster.connect() as server:
        server.execute(f"create database {name}".encode())
    with cluster.connect(name) as connection:
        connection.execute("revoke all on schema public from public")
        connection.execute("create schema stream authorization hw_dispatch")
        connection.execute("set role hw_dispatch")
        migrate(connection, roles)
    return StreamDatabase(cluster, name)
