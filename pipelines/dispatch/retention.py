"""Deletes outbox rows and inbox rows that nobody can need any more. Runs as the services' owner roles.

An outbox row goes when it is older than the retention and lies behind every reader of its database: dispatch has
stored its deliveries, and every slot has confirmed its commit. Over Kafka a slot's position says only what Kafka has,
so there each row is looked up among the events that were dispatched. An inbox row goes when the outbox row of its event
is gone and no delivery of it waits: only then can the event never come again. So does what is known of its dispatch.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from cdc.positions import format_lsn, parse_lsn
from pipelines.dispatch.kafka.store import is_over_kafka
from pipelines.dispatch.store import stored_position

RETENTION: Final = timedelta(days=14)
"""How long an applied event can be read again from the outbox by default."""

CLOCK_MARGIN: Final = timedelta(hours=1)
"""Inbox rows stay this much longer: services with databases of their own have clocks of their own."""

PIECE: Final = 5_000
"""Outbox rows looked up and deleted at a time, over Kafka."""

BEHIND_TIMEOUT: Final = 60.0
"""Seconds to wait for the readers. Idle ones report where they are every ten seconds."""


@dataclass(frozen=True, slots=True)
class Service:
    """``owner_dsn`` logs in as the owner of the service's schema ``name``, in the database called ``source``."""

    name: str
    source: str
    owner_dsn: str


@dataclass(frozen=True, slots=True)
class Purged:
    """Rows deleted from one service's tables. ``waiting_for`` names the reader that was too far behind, if one was."""

    service: str
    outbox: int
    inbox: int
    waiting_for: str | None


def purge(
    services: Iterable[Service],
    stream: psycopg.Connection[tuple[Any, ...]],
    *,
    retention: timedelta = RETENTION,
    timeout: float = BEHIND_TIMEOUT,
) -> list[Purged]:
    """Deletes what is older than ``retention``; ``stream`` is ``hw_dispatch``'s autocommit connection.

    Inboxes are left alone when an outbox could not be purged: their events may still be read again from it.
    """
    services = list(services)
    outboxes = {service.name: _purge_alone(service, stream, retention, timeout) for service in services}
    complete = all(waiting_for is None for _, waiting_for in outboxes.values())
    if complete:
        stream.execute("delete from stream.dispatched where occurred_at < now() - %s", [retention + CLOCK_MARGIN])
    return [
        Purged(
            service.name,
            outboxes[service.name][0],
            _purge_inbox(service, stream, retention) if complete else 0,
            outboxes[service.name][1],
        )
        for service in services
    ]


def _purge_alone(
    service: Service, stream: psycopg.Connection[tuple[Any, ...]], retention: timedelta, timeout: float
) -> tuple[int, str | None]:
    """As ``_purge_outbox``; a service whose database gives no answer does not keep the others' from being purged."""
    try:
        return _purge_outbox(service, stream, retention, timeout)
    except psycopg.OperationalError as error:
        if stream.broken:
            raise
        return 0, f"its database ({str(error).strip().splitlines()[0]})"


def _purge_outbox(
    service: Service, stream: psycopg.Connection[tuple[Any, ...]], retention: timedelta, timeout: float
) -> tuple[int, str | None]:
    outbox = sql.Identifier(service.name, "outbox")
    with psycopg.connect(service.owner_dsn) as owner:
        # One snapshot for the whole transaction: the deletion sees the rows that were committed before `horizon`
        # was read and no other, whatever their occurred_at says.
        owner.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old = owner.execute(
            sql.SQL("select exists (select from {} where occurred_at < now() - %s)").format(outbox), [retention]
        ).fetchone()
        if old is None or not old[0]:
            return 0, None
        (horizon,) = owner.execute("select pg_current_wal_insert_lsn()::text").fetchone() or ("0/0",)
        deadline = time.monotonic() + timeout
        while (behind := _reader_behind(owner, stream, service.source, parse_lsn(horizon))) is not None:
            if time.monotonic() > deadline:
                return 0, behind
            time.sleep(0.2)
        if is_over_kafka(stream, service.source):
            return _purge_dispatched(owner, stream, service, retention)
        deleted = owner.execute(sql.SQL("delete from {} where occurred_at < now() - %s").format(outbox), [retention])
        return deleted.rowcount, None


def _purge_dispatched(
    owner: psycopg.Connection[tuple[Any, ...]],
    stream: psycopg.Connection[tuple[Any, ...]],
    service: Service,
    retention: timedelta,
) -> tuple[int, str | None]:
    """Deletes old rows that are known to be dispatched, or kept aside as malformed; others stay."""
    outbox = sql.Identifier(service.name, "outbox")
    query = sql.SQL("select id from {} where occurred_at < now() - %s and id > %s order by id limit {}").format(
        outbox, sql.Literal(PIECE)
    )
    deleted, left, last = 0, 0, uuid.UUID(int=0)
    while piece := [event_id for (event_id,) in owner.execute(query, [retention, last])]:
        last = piece[-1]
        known = [
            event_id
            for (event_id,) in stream.execute(
                "select e.id from unnest(%s::uuid[]) as e(id) where exists"
                " (select from stream.dispatched d where d.event_id = e.id) or exists (select from stream.malformed m"
                " where m.source = %s and m.producer = %s and m.outbox_id = e.id::text)",
                [piece, service.source, service.name],
            )
        ]
        left += len(piece) - len(known)
        deleted += owner.execute(sql.SQL("delete from {} where id = any(%s)").format(outbox), [known]).rowcount
    if not left:
        return deleted, None
    return deleted, (
        f"dispatch of {service.source}, which has yet to deliver {left} old events of {service.name}; if it has "
        f"nothing to read, `headwater repair {service.source} --force` delivers them"
    )


def _reader_behind(
    owner: psycopg.Connection[tuple[Any, ...]], stream: psycopg.Connection[tuple[Any, ...]], source: str, horizon: int
) -> str | None:
    """Names a reader of the database that has not passed ``horizon``."""
    position = stored_position(stream, source)
    if position is None:
        return f"dispatch of {source}, which has stored no position"
    (system_id,) = owner.execute("select system_identifier::text from pg_control_system()").fetchone() or ("",)
    if position.epoch.system_id != system_id:
        return f"dispatch of {source}, whose position is of cluster {position.epoch.system_id}, not {system_id}"
    if position.lsn < horizon and not is_over_kafka(stream, source):
        return f"dispatch of {source} at {format_lsn(position.lsn)}, before {format_lsn(horizon)}"
    slots = owner.execute(
        "select slot_name, coalesce(confirmed_flush_lsn, '0/0')::text from pg_replication_slots"
        " where database = current_database() and slot_type = 'logical'"
    ).fetchall()
    if position.epoch.slot not in {name for name, _ in slots}:
        return f"slot {position.epoch.slot}, which does not exist"
    for name, confirmed in slots:
        if parse_lsn(confirmed) < horizon:
            return f"slot {name} at {confirmed}, before {format_lsn(horizon)}"
    return None


def _purge_inbox(service: Service, stream: psycopg.Connection[tuple[Any, ...]], retention: timedelta) -> int:
    # Read before the deletion: a delivery that is made later is of an event that stands in an outbox still.
    waiting = [
        event_id
        for (event_id,) in stream.execute(
            "select event_id from stream.delivery where consumer = %s and occurred_at < now() - %s",
            [service.name, retention],
        )
    ]
    with psycopg.connect(service.owner_dsn) as owner:
        deleted = owner.execute(
            sql.SQL("delete from {} where applied_at < now() - %s and event_id <> all(%s)").format(
                sql.Identifier(service.name, "inbox")
            ),
            [retention + CLOCK_MARGIN, waiting],
        )
        return deleted.rowcount
