"""The streaming replication protocol over libpq: START_REPLICATION, frames in, status updates out.

libpq is used through psycopg's ``pq`` and not through psycopg2's replication cursor, because that one acknowledges
keepalives by itself: before the first change it moves the slot to wherever the server is, whatever the consumer has
stored, and the slot then looks as if it had a gap. Here nothing is acknowledged but what ``send_status`` is given.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from psycopg import conninfo, errors, pq

from cdc.catalogue import SESSION_OPTIONS
from cdc.pgoutput import POSTGRES_EPOCH_MICROSECONDS
from cdc.positions import format_lsn, parse_lsn

_STATUS: Final = Struct(">cQQQqB")
_NAME: Final = re.compile(r"[a-z0-9_]{1,63}")


class ReplicationError(Exception):
    """The server refused a replication command or ended the stream; the text is the server's."""


class System(NamedTuple):
    """IDENTIFY_SYSTEM's answer; ``flushed_lsn`` is the end of the server's durable WAL."""

    system_id: str
    timeline: int
    flushed_lsn: int


class ReplicationConnection:
    """One walsender session of a database. Every method raises psycopg.OperationalError when the connection breaks."""

    def __init__(self, dsn: str) -> None:
        settings = conninfo.make_conninfo(
            dsn, replication="database", options=SESSION_OPTIONS, fallback_application_name="headwater"
        )
        self.pgconn = pq.PGconn.connect(settings.encode())
        if self.pgconn.status != pq.ConnStatus.OK:
            raise errors.OperationalError(self.pgconn.error_message.decode(errors="replace").strip())

    def identify(self) -> System:
        result = self.pgconn.exec_(b"IDENTIFY_SYSTEM")
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise ReplicationError(_message(result))
        system_id, timeline, flushed = (result.get_value(0, column) or b"" for column in range(3))
        return System(system_id.decode(), int(timeline), parse_lsn(flushed.decode()))

    def left_at(self, timeline: int, present: int) -> int | None:
        """Where the history that leads to timeline ``present`` left ``timeline``: what ends there or before is in both.

        None if ``timeline`` is no ancestor. Raises ReplicationError where the server has lost the history's file.
        """
        result = self.pgconn.exec_(f"TIMELINE_HISTORY {present}".encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise ReplicationError(_message(result))
        for line in (result.get_value(0, 1) or b"").decode(errors="replace").splitlines():
            ancestor, lsn, *_ = [*line.partition("#")[0].split(), "", ""]
            if ancestor == str(timeline):
                return parse_lsn(lsn)
        return None

    def mark_for_failover(self, slot: str) -> None:
        """A standby is to keep a copy of the slot, which nobody reads now. Raises ReplicationError. PostgreSQL 17."""
        result = self.pgconn.exec_(f"ALTER_REPLICATION_SLOT {_named(slot)} (FAILOVER true)".encode())
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise ReplicationError(_message(result))

    def start(self, slot: str, lsn: int, publications: Sequence[str], *, streaming: bool = False) -> None:
        """Starts the stream after ``lsn`` (0: at the slot's own position). Raises ReplicationError.

        ``streaming``: large transactions come in blocks before they commit (``cdc.sources.assembly``).
        """
        command = (
            f"START_REPLICATION SLOT {_named(slot)} LOGICAL {format_lsn(lsn)} "
            f"(proto_version '2', publication_names '{','.join(map(_named, publications))}', messages 'on',"
            f" streaming '{'on' if streaming else 'off'}')"
        )
        result = self.pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise ReplicationError(_message(result))
        self.pgconn.nonblocking = 1

    def send_status(self, received_lsn: int, stored_lsn: int, *, want_reply: bool = False) -> None:
        """Tells the server what was received and what it may forget."""
        now = time.time_ns() // 1000 - POSTGRES_EPOCH_MICROSECONDS
        written = max(received_lsn, stored_lsn)
        self.pgconn.put_copy_data(_STATUS.pack(b"r", written, stored_lsn, stored_lsn, now, want_reply))
        self.pgconn.flush()

    def end_reason(self) -> str:
        """Why the server ended the stream, after it did."""
        result = self.pgconn.get_result()
        return (_message(result) if result is not None else "") or "the server ended the stream"

    def close(self) -> None:
        self.pgconn.finish()


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a slot or publication: use a-z, 0-9 and _")
    return name


def _message(result: pq.abc.PGresult) -> str:
    return result.error_message.decode(errors="replace").strip()
