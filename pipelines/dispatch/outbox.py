"""Outbox rows as events: what a row must hold to be delivered, and what it is when it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from cdc.events import ChangeEvent, Transaction, Value
from pipelines import tracing

TABLE: Final = "outbox"
REQUIRED: Final = (
    "id",
    "aggregate_type",
    "aggregate_id",
    "aggregate_version",
    "type",
    "schema_version",
    "payload",
    "occurred_at",
)
OPTIONAL: Final = ("causation_id", "correlation_id", "actor_id", "traceparent")
COLUMNS: Final = REQUIRED + OPTIONAL


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One outbox row in PostgreSQL's text forms. ``producer`` is the service that wrote it: the table's schema."""

    producer: str
    image: Mapping[str, Value]

    @property
    def outbox_id(self) -> str:
        """The row's id; where the table has no such column, the row's text stands for it."""
        found = self.image.get("id")
        return found if isinstance(found, str) else repr(sorted(self.image.items()))

    @property
    def traceparent(self) -> str | None:
        """The trace of the command that wrote it, if somebody traces."""
        found = self.image.get("traceparent")
        return found if isinstance(found, str) else None

    def problem(self) -> str | None:
        """Why this row cannot be an event, as far as its columns tell; values are judged by the database."""
        missing = [column for column in REQUIRED if not isinstance(self.image.get(column), str)]
        return f"no value for {', '.join(missing)}" if missing else None

    def values(self) -> list[Value]:
        """The values of ``COLUMNS``."""
        return [self.image.get(column) for column in COLUMNS]


def rows_of(transactions: Iterable[Transaction]) -> Iterator[OutboxRow]:
    """The outbox rows that the transactions inserted, in commit order; whatever else they did is passed over."""
    for transaction in transactions:
        for item in transaction.items:
            if isinstance(item, ChangeEvent) and item.op == "c" and item.relation.table == TABLE and item.after:
                yield OutboxRow(item.relation.schema, dict(zip(item.relation.names, item.after, strict=True)))


@contextmanager
def traced(rows: list[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Around the dispatch of ``rows``: the rows with the span of it as what their deliveries carry on."""
    parents = list(dict.fromkeys(row.traceparent for row in rows if row.traceparent))[: tracing.MOST]
    with tracing.spans("dispatch", parents) as contexts:
        own = dict(zip(parents, contexts, strict=True))
        yield [
            replace(row, image={**row.image, "traceparent": own[row.traceparent]}) if row.traceparent in own else row
            for row in rows
        ]
