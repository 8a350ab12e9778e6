"""What dispatch writes to the stream database, within the caller's transaction: deliveries and the position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import psycopg

from cdc.positions import Epoch, Position, format_lsn, parse_lsn
from pipelines.dispatch.errors import Superseded
from pipelines.dispatch.outbox import COLUMNS, OutboxRow

# Positions must be durable before the slot forgets: a server that was set to answer before it has flushed would
# come back from a crash with a position that lies before the slot's.
SESSION_OPTIONS: Final = "-c synchronous_commit=on -c timezone=UTC"

INSERT: Final = f"""
with event as (
    select *
    from unnest(%s::text[], {", ".join("%s::text[]" for _ in COLUMNS)}) with ordinality
        as e(producer, {", ".join(COLUMNS)}, n)
), noted as (
    insert into stream.dispatched (event_id, occurred_at)
    select e.id::uuid, e.occurred_at::timestamptz
    from event e
    on conflict do nothing
    returning event_id
), delivered as (
    insert into stream.delivery (
        consumer, event_id, source, producer, aggregate_type, aggregate_id, aggregate_version, type, schema_version,
        payload, occurred_at, causation_id, correlation_id, actor_id, traceparent
    )
    select
        s.consumer, e.id::uuid, %s, e.producer, e.aggregate_type, e.aggregate_id::uuid, e.aggregate_version::bigint,
        e.type, e.schema_version::int, e.payload::jsonb, e.occurred_at::timestamptz, e.causation_id::uuid,
        e.correlation_id::uuid, e.actor_id::uuid, e.traceparent
    from event e
    join stream.subscription s on s.event_type = e.type and s.aggregate_type in ('*', e.aggregate_type)
    where %s or e.id::uuid in (select event_id from noted)
    order by e.n
    on conflict (event_id, consumer) do nothing
    returning consumer
)
select consumer, count(*), pg_notify('hw_delivery_' || consumer, '')
from delivered
group by consumer
"""


def connect(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    """The connection on which dispatch writes; ``dsn`` logs in as ``hw_dispatch``."""
    return psycopg.connect(
        dsn, autocommit=True, options=SESSION_OPTIONS, fallback_application_name="headwater dispatch"
    )


def stored_position(connection: psycopg.Connection[tuple[Any, ...]], source: str) -> Position | None:
    """The position up to which everything of ``source`` has become deliveries; None before the first batch."""
    row = connection.execute(
        "select system_id, timeline, slot, lsn::text from stream.position where source = %s", [source]
    ).fetchone()
    if row is None:
        return None
    system_id, timeline, slot, lsn = row
    return Position(source, Epoch(system_id, timeline, slot), parse_lsn(lsn))


def store_position(
    connection: psycopg.Connection[tuple[Any, ...]], position: Position, committed_at: int | None = None
) -> None:
    """Moves the source's position forward; ``committed_at`` is its last commit, microseconds since 1970 UTC.

    Raises Superseded if a later position of the same epoch is stored already: another process reads this source.
    """
    committed = datetime.fromtimestamp(committed_at / 1e6, UTC) if committed_at is not None else None
    stored = connection.execute(
        "insert into stream.position as p (source, system_id, timeline, slot, lsn, committed_at)"
        " values (%s, %s, %s, %s, %s, %s)"
        " on conflict (source) do update set"
        " system_id = excluded.system_id, timeline = excluded.timeline, slot = excluded.slot, lsn = excluded.lsn,"
        " committed_at = coalesce(excluded.committed_at, p.committed_at), updated_at = clock_timestamp()"
        " where p.lsn <= excluded.lsn"
        " or (p.system_id, p.timeline, p.slot) <> (excluded.system_id, excluded.timeline, excluded.slot)",
        [
            position.source,
            position.epoch.system_id,
            position.epoch.timeline,
            position.epoch.slot,
            format_lsn(position.lsn),
            committed,
        ],
    )
    if stored.rowcount == 0:
        raise Superseded(position)


def insert_deliveries(
    connection: psycopg.Connection[tuple[Any, ...]],
    source: str,
    rows: Sequence[OutboxRow],
    *,
    again: bool = False,
) -> dict[str, int]:
    """One delivery per row and subscriber, in the order of ``rows``; wakes the workers.

    An event that was dispatched before is passed over; with ``again`` only what a consumer has waiting already is. A
    malformed row is kept in ``stream.malformed`` and stops nothing. Returns the number of new deliveries per consumer.
    """
    whole = []
    for row in rows:
        if problem := row.problem():
            _keep_malformed(connection, source, row, problem)
        else:
            whole.append(row)
    return _insert(connection, source, whole, again)


def _insert(
    connection: psycopg.Connection[tuple[Any, ...]], source: str, rows: Sequence[OutboxRow], again: bool
) -> dict[str, int]:
    if not rows:
        return {}
    columns = zip(*(row.values() for row in rows), strict=True)
    parameters = [[row.producer for row in rows], *map(list, columns), source, again]
    try:
        with connection.transaction():
            return {name: count for name, count, _ in connection.execute(INSERT.encode(), parameters)}
    except psycopg.DataError as error:
        if len(rows) == 1:
            _keep_malformed(connection, source, rows[0], error.diag.message_primary or str(error))
            return {}
    # Halving finds the row that the database refuses; its neighbours keep their order.
    middle = len(rows) // 2
    first = _insert(connection, source, rows[:middle], again)
    second = _insert(connection, source, rows[middle:], again)
    return {name: first.get(name, 0) + second.get(name, 0) for name in first.keys() | second.keys()}


def _keep_malformed(connection: psycopg.Connection[tuple[Any, ...]], source: str, row: OutboxRow, problem: str) -> None:
    connection.execute(
        "insert into stream.malformed (source, producer, outbox_id, image, error) values (%s, %s, %s, %s, %s)"
        " on conflict (source, producer, outbox_id) do update set image = excluded.image, error = excluded.error",
        [source, row.producer, row.outbox_id, orjson.dumps(dict(row.image), default=repr).decode(), problem],
    )
