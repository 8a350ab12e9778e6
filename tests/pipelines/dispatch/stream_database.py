"""A stream database with the roles of three services, as tests see it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from headwater.embedded.postgres import Cluster

SERVICES = ("contacts", "finance", "orders")
PASSWORD = "stream-tests"


@dataclass
class StreamDatabase:
    cluster: Cluster
    name: str

    def dsn(self, role: str) -> str:
        return self.cluster.dsn(self.name, user=role, password=PASSWORD)

    def connect(self, role: str = "hw_dispatch", **options: Any) -> psycopg.Connection[dict[str, Any]]:
        """An autocommit connection; rows are dictionaries."""
        return psycopg.connect(self.dsn(role), autocommit=True, row_factory=dict_row, **options)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def subscribe(self, consumer: str, *event_types: str) -> None:
        self.rows("select stream.subscribe(%s, %s, %s)", consumer, list(event_types), ["*"] * len(event_types))

    def deliver(
        self, consumer: str, aggregates: Sequence[uuid.UUID], *, producer: str = "contacts", first_version: int = 1
    ) -> list[uuid.UUID]:
        """One delivery per given aggregate, in that order, as dispatch would insert them; returns the event ids."""
        events = [uuid.uuid4() for _ in aggregates]
        self.rows(
            "insert into stream.delivery (consumer, event_id, source, producer, aggregate_type, aggregate_id,"
            " aggregate_version, type, schema_version, payload, occurred_at)"
            " select %s, e.event_id, 'headwater', %s, 'account', e.aggregate_id, %s + e.n - 1, 'ACCOUNT_UPDATED', 1,"
            " '{}', now() from unnest(%s::uuid[], %s::uuid[]) with ordinality as e(event_id, aggregate_id, n)"
            " returning id",
            consumer,
            producer,
            first_version,
            events,
            list(aggregates),
        )
        return events
