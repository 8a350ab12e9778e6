"""Writes what a command emitted: outbox rows and external references, in the command's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections
from uuid_utils.compat import uuid7

from transactional.kernel import observing
from transactional.kernel.context import Context

COPY_FROM_ROWS = 20
"""From here on COPY beats an INSERT with a row of parameters each."""

_OUTBOX = (
    "id",
    "aggregate_type",
    "aggregate_id",
    "aggregate_version",
    "type",
    "schema_version",
    "payload",
    "occurred_at",
    "causation_id",
    "correlation_id",
    "actor_id",
    "traceparent",
)
_REFERENCE = ("id", "source", "key", "resource", "resource_id")


def flush(ctx: Context) -> None:
    """Writes and forgets the context's events and references."""
    if ctx.events:
        traceparent = observing.carried()
        write_rows(
            ctx.service,
            "outbox",
            _OUTBOX,
            [
                (
                    uuid7(),
                    event.aggregate,
                    event.aggregate_id,
                    event.aggregate_version,
                    event.type,
                    event.schema_version,
                    event.model_dump_json(),
                    ctx.now,
                    ctx.causation_id,
                    ctx.correlation_id or ctx.request_id,
                    ctx.actor.user_id,
                    traceparent,
                )
                for event in ctx.events
            ],
        )
        ctx.events.clear()
    if ctx.references:
        write_rows(
            ctx.service,
            "external_reference",
            _REFERENCE,
            [(uuid7(), r.source, r.key, r.resource, r.resource_id) for r in ctx.references],
        )
        ctx.references.clear()


def write_rows(alias: str, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Inserts rows of Python values: one INSERT for few, COPY for many. Names are ours, never a caller's."""
    rows = list(rows)
    connection = connections[alias]
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if len(rows) < COPY_FROM_ROWS:
            one = f"({', '.join(['%s'] * len(columns))})"
            cursor.execute(
                f'insert into "{table}" ({names}) values {", ".join([one] * len(rows))}',
                [value for row in rows for value in row],
            )
            return
        with connection.wrap_database_errors, cursor.copy(f'copy "{table}" ({names}) from stdin') as copy:
            for row in rows:
                copy.write_row(row)
