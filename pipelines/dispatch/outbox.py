"""Outbox rows as events: what a row must hold to be delivered, and what it is when it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cdc.events import ChangeEvent, Transaction, Value

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
OPTIONAL: Final = ("causation_id", "correlation_id", "actor_id")
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
