"""Mends a source whose dispatch slot was lost: a new slot, and every retained outbox row delivered again.

Nothing is lost. What was committed up to the stored position has become deliveries; what came after stands in the
outbox, because retention deletes only rows that lie behind that position. What the new slot delivers begins before the
outboxes are read, so that no commit falls between the two. Nothing is doubled either: an event that still waits keeps
its delivery (its key is the event), and one that was applied long ago is found in the consumer's inbox and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from cdc.catalogue import SESSION_OPTIONS
from cdc.failpoints import reach
from cdc.positions import Epoch, Position
from cdc.slots import create_slot, drop_slot
from cdc.sources.replication import ReplicationConnection
from pipelines.dispatch.outbox import COLUMNS, OutboxRow
from pipelines.dispatch.store import connect, insert_deliveries, store_position

FAILPOINTS: Final = ("dispatch.repair_slot_dropped", "dispatch.repair_slot_made", "dispatch.repair_before_commit")

PIECE: Final = 5_000
"""Outbox rows inserted at a time."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """``events`` outbox rows were read, which made ``deliveries`` that did not wait already."""

    position: Position
    events: int
    deliveries: int


def repair(source: str, source_dsn: str, stream_dsn: str, *, slot: str, publication: str) -> Repaired:
    """Makes the slot anew and delivers what the published outboxes hold, with the new position, in one transaction.

    ``source_dsn``'s role needs REPLICATION and SELECT on the outboxes, ``stream_dsn``'s is ``hw_dispatch``. Killed at
    any moment it may be run again; until it has ended, dispatch of the source stops at a gap. Raises SlotInUse while
    a dispatch worker reads the slot.
    """
    with connect(stream_dsn) as stream:
        with closing(ReplicationConnection(source_dsn)) as connection:
            system = connection.identify()
        epoch = Epoch(system.system_id, system.timeline, slot)
        # A position before every slot's, where there is none: otherwise dispatch would take the new slot for a first
        # start and read on from there if this process died before it had read the outboxes.
        stream.execute(
            "insert into stream.position (source, system_id, timeline, slot, lsn) values (%s, %s, %s, %s, '0/0')"
            " on conflict (source) do nothing",
            [source, epoch.system_id, epoch.timeline, epoch.slot],
        )
        drop_slot(source_dsn, slot)
        reach("dispatch.repair_slot_dropped")
        begin = Position(source, epoch, create_slot(source_dsn, slot))
        reach("dispatch.repair_slot_made")
        with stream.transaction():
            stream.execute("delete from stream.malformed where source = %s", [source])
            # The old position may lie beyond the new one: a database restored from a backup.
            stream.execute("delete from stream.position where source = %s", [source])
            events = deliveries = 0
            for rows in _outbox_rows(source_dsn, publication):
                events += len(rows)
                deliveries += sum(insert_deliveries(stream, source, rows, again=True).values())
            store_position(stream, begin)
            reach("dispatch.repair_before_commit")
    return Repaired(begin, events, deliveries)


def _outbox_rows(source_dsn: str, publication: str) -> Iterator[list[OutboxRow]]:
    """Every row of the published outboxes, in pieces; each aggregate's by version, aggregates among each other by time.

    The time of an event is the latest of its aggregate so far: clocks may have gone backwards, versions have not.
    """
    with psycopg.connect(source_dsn, options=SESSION_OPTIONS) as connection:
        published = connection.execute(
            "select schemaname, tablename from pg_publication_tables where pubname = %s", [publication]
        ).fetchall()
        if not published:
            return
        columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        outboxes = sql.SQL(" union all ").join(
            sql.SQL("select {}::text as producer, {} from {}").format(schema, columns, sql.Identifier(schema, table))
            for schema, table in published
        )
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in COLUMNS)
        query = sql.SQL(
            "select producer, {texts} from ({outboxes}) as event order by max(occurred_at) over ("
            "partition by producer, aggregate_type, aggregate_id order by aggregate_version, occurred_at"
            " rows unbounded preceding), aggregate_version, id"
        ).format(texts=texts, outboxes=outboxes)
        cursor: psycopg.ServerCursor[tuple[Any, ...]]
        with connection.cursor(name="outbox_rows") as cursor:
            cursor.execute(query)
            while piece := cursor.fetchmany(PIECE):
                yield [OutboxRow(producer, dict(zip(COLUMNS, values, strict=True))) for producer, *values in piece]
