"""A place in a database's stream where no transaction is half before and half after, and both transports agree.

A transport tells of commits, and where a commit's record ends only the log itself knows. So a mark is committed, and
the slot is asked where that transaction ended: one that commits later lies wholly behind it, whenever it began.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from cdc.connectors import MARK
from cdc.errors import BoundaryUnseen
from cdc.pgoutput import commit

TIMEOUT = 60.0
"""Seconds for the server to decode what was written since the slot's position."""


def draw_boundary(dsn: str, slot: str, publications: Sequence[str], *, timeout: float = TIMEOUT) -> int:
    """Commits a mark and returns the LSN at which its transaction ends in the stream of ``slot``, which nobody reads
    and which stays where it is.

    Both Debezium, in the ``sequence`` of the transactions that follow, and ``Transaction.end_lsn`` give this number.
    Raises BoundaryUnseen after ``timeout`` seconds.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select pg_current_xact_id()::xid::text from pg_logical_emit_message(true, %s, '')", [MARK]
        ).fetchone()
        assert row is not None
        deadline = time.monotonic() + timeout
        while True:
            found = connection.execute(
                """
                select data
                from pg_logical_slot_peek_binary_changes(
                  %s, null, null, 'proto_version', '1', 'publication_names', %s, 'messages', 'on'
                )
                where xid = %s::xid and get_byte(data, 0) = ascii('C')
                """,
                [slot, ",".join(publications), row[0]],
            ).fetchone()
            if found is not None:
                return commit(bytes(found[0])).end_lsn
            if time.monotonic() > deadline:
                raise BoundaryUnseen(slot, waited=timeout)
            time.sleep(0.05)
