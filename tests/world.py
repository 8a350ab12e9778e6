"""What tests may do with the databases of the write side beside going through the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from psycopg.rows import dict_row

from headwater.config import Config
from headwater.embedded.postgres import Cluster
from transactional.kernel.inbox import InboundEvent, Verdict, apply_events, subscriptions


@dataclass
class World:
    """Every service's schema in one database of ``cluster``."""

    cluster: Cluster
    database: str
    config: Config
    delivered: dict[str, set[UUID]] = field(default_factory=dict)
    _connection: psycopg.Connection[dict[str, Any]] | None = None

    def superuser(self) -> psycopg.Connection[dict[str, Any]]:
        """An autocommit connection that may do anything; rows are dictionaries."""
        return psycopg.connect(self.cluster.dsn(self.database), autocommit=True, row_factory=dict_row)

    def as_role(self, role: str) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommit connection as one of the installation's roles."""
        dsn = self.cluster.dsn(self.database, user=role, password=self.config.passwords[role])
        return psycopg.connect(dsn, autocommit=True)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        if self._connection is None or self._connection.closed:
            self._connection = self.superuser()
        return self._connection.execute(query.encode(), parameters).fetchall()

    def count(self, table: str) -> int:
        """Rows of ``schema.table``."""
        return int(self.rows(f"select count(*) as n from {table}")[0]["n"])

    def outbox(self, service: str, event_type: str | None = None) -> list[dict[str, Any]]:
        """Outbox rows in the order in which they were written."""
        return self.rows(
            f"select * from {service}.outbox where %s::text is null or type = %s order by ctid",
            [event_type, event_type],
        )

    def deliver(self, *services: str) -> list[Verdict]:
        """Hands every event not yet delivered to the services' handlers, as dispatch would; all of them unless named.

        Events that handling makes are not delivered in the same call; see ``settle``.
        """
        verdicts = []
        rows = [row for producer in settings.HEADWATER_SERVICES for row in self.outbox(producer)]
        for service in services or settings.HEADWATER_SERVICES:
            done = self.delivered.setdefault(service, set())
            wanted = set(subscriptions(service))
            events = [InboundEvent(**row) for row in rows if row["type"] in wanted and row["id"] not in done]
            found = apply_events(service, events)
            done.update(v.event_id for v in found if v.status in ("applied", "duplicate", "ignored"))
            verdicts += found
        return verdicts

    def settle(self) -> None:
        """Delivers until nothing new happens, or an event fails (AssertionError with the reason)."""
        while verdicts := self.deliver():
            failed = [verdict for verdict in verdicts if verdict.status in ("failed", "blocked")]
            assert not failed, failed
