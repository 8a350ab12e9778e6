"""Whether a database is ready to be read by a connector; asked before one is made, because Debezium would make a lost
slot anew without a word, and wait for ever for one that another process reads."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.rows import tuple_row

from cdc.errors import NotLogical, PublicationMismatch, SlotInUse, SlotMissing

DEBEZIUM: Final = "Debezium Streaming"
"""The name under which a connector's walsender shows."""


def check(dsn: str, source: str, *, slot: str, publication: str) -> None:
    """Raises NotLogical, PublicationMismatch, SlotMissing, or SlotInUse if anyone but a connector reads the slot."""
    with psycopg.connect(dsn, autocommit=True, row_factory=tuple_row) as connection:
        (level,) = _one(connection.execute("show wal_level").fetchone())
        if level != "logical":
            raise NotLogical(source, str(level))
        query = "select from pg_catalog.pg_publication where pubname = %s"
        if connection.execute(query, [publication]).fetchone() is None:
            raise PublicationMismatch(publication, missing=[], extra=[], exists=False)
        found = connection.execute(
            "select s.active_pid, a.application_name from pg_catalog.pg_replication_slots s"
            " left join pg_catalog.pg_stat_activity a on a.pid = s.active_pid"
            " where s.slot_name = %s and s.database = current_database()",
            [slot],
        ).fetchone()
        if found is None:
            raise SlotMissing(source, slot, stored=None)
        reader, name = found
        if reader is not None and name != DEBEZIUM:
            raise SlotInUse(slot, pid=int(str(reader)), waited=0)


def _one(row: tuple[object, ...] | None) -> tuple[object, ...]:
    assert row is not None
    return row
