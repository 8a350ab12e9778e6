"""The end of a source's time with Kafka: what commits after it comes by the slot, and is left out here.

The end is an LSN at which a transaction ends (``cdc.boundary``). Debezium names with each change where the commit
before its own ended, so a transaction is landed over Kafka if, and only if, that lies before the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from cdc.connectors import MARK
from cdc.debezium.envelope import follows
from cdc.events import Message
from cdc.positions import format_lsn, parse_lsn
from cdc.sources.kafka import KafkaBatch

Connection = psycopg.Connection[tuple[Any, ...]]


def leave_out(batch: KafkaBatch, until: int) -> None:
    """Takes out of the batch what commits after ``until``. Marks stay: rows before it may wait for one."""
    for transaction in batch.transactions:
        if transaction.commit_lsn >= until:
            transaction.items = [item for item in transaction.items if type(item) is Message and item.prefix == MARK]
    batch.poison = [poison for poison in batch.poison if (follows(poison.value) or 0) < until]


def end_of(connection: Connection, source: str) -> int | None:
    """Where the source's time with Kafka ends; None if nobody said so."""
    row = connection.execute("select until::text from log.kafka_source where source = %s", [source]).fetchone()
    return None if row is None or row[0] is None else parse_lsn(row[0])


def end_at(connection: Connection, source: str, draw: Callable[[], int]) -> int:
    """Ends it at what ``draw`` gives, unless it ends already; returns where. All landing of the source waits meanwhile,
    so that what was landed before lies before the end, and nothing after it is landed. In autocommit."""
    with connection.transaction():
        connection.execute("select from log.position where source = %s for update", [source])
        found = end_of(connection, source)
        if found is None:
            found = draw()
            connection.execute("update log.kafka_source set until = %s where source = %s", [format_lsn(found), source])
    return found


def unread(connection: Connection, source: str, ends: Mapping[tuple[str, int], int]) -> int:
    """Records before ``ends`` ((topic, partition) → offset) that are yet to be landed."""
    rows = connection.execute(
        "select topic, partition, coalesce(next_offset, 0) from log.kafka_partition where source = %s", [source]
    )
    stored = {(topic, number): offset for topic, number, offset in rows}
    return sum(max(0, end - stored.get(place, 0)) for place, end in ends.items())


def take_position(connection: Connection, source: str, until: int) -> None:
    """Says that the source stands at its end: its slot is read on from there."""
    connection.execute(
        "update log.position set lsn = %s, updated_at = now() where source = %s", [format_lsn(until), source]
    )


def forget(connection: Connection, source: str) -> None:
    """Nothing is kept any more of where its topics stood. Records that could not be read stay. In autocommit."""
    with connection.transaction():
        connection.execute("delete from log.kafka_source where source = %s", [source])
        connection.execute("delete from log.kafka_guard where source = %s", [source])
