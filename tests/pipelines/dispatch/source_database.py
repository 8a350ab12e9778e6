"""A source database with the outboxes of two services, a publication and a slot, as provisioning makes them."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cdc.publications import ensure_publication
from cdc.slots import create_slot, drop_slot
from cdc.sources.slot import SlotSource
from headwater.embedded.postgres import Cluster

PRODUCERS = ("contacts", "finance")
OUTBOX = """
create table {schema}.outbox (
    id uuid primary key,
    aggregate_type text not null,
    aggregate_id uuid not null,
    aggregate_version bigint not null,
    type text not null,
    schema_version int not null,
    payload jsonb not null,
    occurred_at timestamptz not null,
    causation_id uuid,
    correlation_id uuid,
    actor_id uuid,
    traceparent text
)
"""


class SourceDatabase:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name = f"source_{secrets.token_hex(4)}"
        self.slot = f"hw_dispatch_{self.name}"
        with cluster.connect() as server:
            server.execute(f"create database {self.name}".encode())
        self.connection = self._connect()
        for schema in PRODUCERS:
            self.connection.execute(f"create schema {schema}".encode())
            self.connection.execute(OUTBOX.format(schema=schema).encode())
        ensure_publication(self.connection, "hw_dispatch", [f"{schema}.outbox" for schema in PRODUCERS])
        create_slot(self.dsn, self.slot)

    def move(self, cluster: Cluster) -> None:
        """The database is another cluster's from here on."""
        self.cluster = cluster
        self.connection = self._connect()

    def _connect(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row)

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def source(self, spool_dir: Path, **options: Any) -> SlotSource:
        return SlotSource(
            "headwater", self.dsn, slot=self.slot, publications=["hw_dispatch"], spool_dir=spool_dir, **options
        )

    def emit(
        self,
        aggregate_id: uuid.UUID,
        version: int,
        *,
        type: str = "ACCOUNT_UPDATED",
        producer: str = "contacts",
        payload: Any = None,
    ) -> uuid.UUID:
        """One event, committed; returns its id."""
        event_id = uuid.uuid4()
        self.connection.execute(
            f"insert into {producer}.outbox values (%s, 'account', %s, %s, %s, 1, %s, clock_timestamp())".encode(),
            [event_id, aggregate_id, version, type, Jsonb(payload or {"version": version})],
        )
        return event_id

    def drop(self) -> None:
        drop_slot(self.dsn, self.slot)
        self.connection.close()
        with self.cluster.connect() as server:
            server.execute(f"drop database {self.name} with (force)".encode())
