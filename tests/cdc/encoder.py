"""Writes pgoutput messages (protocol 1, and what 2 adds to it), for the decoder to read back."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

from cdc.events import UNCHANGED, Column, Value
from cdc.pgoutput import POSTGRES_EPOCH_MICROSECONDS


def begin(xid: int, commit_lsn: int, committed_at: int) -> bytes:
    return pack(">cQqI", b"B", commit_lsn, committed_at - POSTGRES_EPOCH_MICROSECONDS, xid & 0xFFFFFFFF)


def commit(commit_lsn: int, end_lsn: int, committed_at: int) -> bytes:
    return pack(">cBQQq", b"C", 0, commit_lsn, end_lsn, committed_at - POSTGRES_EPOCH_MICROSECONDS)


def relation(relid: int, schema: str, table: str, identity: str, columns: Sequence[Column]) -> bytes:
    """``is_key`` of a column becomes the identity flag under ``d``; under ``f`` every column is flagged."""
    head = pack(">cI", b"R", relid) + schema.encode() + b"\0" + table.encode() + b"\0"
    body = b"".join(
        pack(">B", int(identity == "f" or column.is_key))
        + column.name.encode()
        + b"\0"
        + pack(">Ii", column.type_oid, column.type_modifier)
        for column in columns
    )
    return head + pack(">cH", identity.encode(), len(columns)) + body


def row(values: Sequence[Value]) -> bytes:
    parts = [pack(">H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            data = value.encode()
            parts.append(pack(">cI", b"t", len(data)) + data)
    return b"".join(parts)


def insert(relid: int, after: Sequence[Value]) -> bytes:
    return pack(">cIc", b"I", relid, b"N") + row(after)


def update(relid: int, after: Sequence[Value], *, old: Sequence[Value] | None = None, kind: bytes = b"O") -> bytes:
    before = kind + row(old) if old is not None else b""
    return pack(">cI", b"U", relid) + before + b"N" + row(after)


def delete(relid: int, before: Sequence[Value], *, kind: bytes = b"O") -> bytes:
    return pack(">cIc", b"D", relid, kind) + row(before)


def truncate(relids: Sequence[int]) -> bytes:
    return pack(">cIB", b"T", len(relids), 0) + b"".join(pack(">I", relid) for relid in relids)


def message(lsn: int, prefix: str, content: bytes, *, transactional: bool = True) -> bytes:
    return pack(">cBQ", b"M", int(transactional), lsn) + prefix.encode() + b"\0" + pack(">I", len(content)) + content


def type_(oid: int, schema: str, name: str) -> bytes:
    return pack(">cI", b"Y", oid) + schema.encode() + b"\0" + name.encode() + b"\0"


def origin(lsn: int, name: str) -> bytes:
    return pack(">cQ", b"O", lsn) + name.encode() + b"\0"


def columns(*names: str) -> list[Column]:
    """Columns of type text, the first one the key."""
    return [Column(name, 25, -1, number == 0) for number, name in enumerate(names)]


def stream_start(xid: int, *, first: bool) -> bytes:
    return pack(">cIB", b"S", xid, int(first))


def stream_stop() -> bytes:
    return b"E"


def stream_commit(xid: int, commit_lsn: int, end_lsn: int, committed_at: int) -> bytes:
    return pack(">cI", b"c", xid) + commit(commit_lsn, end_lsn, committed_at)[1:]


def stream_abort(xid: int, subxid: int) -> bytes:
    return pack(">cII", b"A", xid, subxid)


def in_stream(message: bytes, xid: int) -> bytes:
    return message[:1] + pack(">I", xid) + message[1:]
