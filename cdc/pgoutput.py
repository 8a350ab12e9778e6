"""Decodes pgoutput, protocol version 1: bytes of one replication message in, change events out. No input or output.

What protocol version 2 adds for transactions that are streamed before they commit is turned into version 1 here.
Formats: PostgreSQL documentation, "Logical Replication Message Formats". A message that does not match its format
raises DecodeError with its letter and the byte where it went wrong; nothing is ever skipped or guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Final

from cdc.ddl import MESSAGE_PREFIX, parse_schema_change
from cdc.errors import DecodeError
from cdc.events import UNCHANGED, ChangeEvent, Column, Item, Message, Relation, Transaction, Value

PrimaryKeyLookup = Callable[[int, int, Collection[str]], tuple[str, ...]]
"""(relid, lsn, names of its columns) → names of the table's primary key columns as of ``lsn``; empty if it had none."""

POSTGRES_EPOCH_MICROSECONDS: Final = 946_684_800_000_000
"""2000-01-01 00:00 UTC, where PostgreSQL's timestamps begin, in microseconds since the Unix epoch."""

_u32 = Struct(">I").unpack_from
_u16 = Struct(">H").unpack_from
_begin = Struct(">QqI").unpack_from
_commit = Struct(">BQQq").unpack_from
_message = Struct(">BQ").unpack_from
_column = Struct(">Ii").unpack_from

_TEXT, _NULL, _TOAST = b"tnu"
_NEW, _OLD, _KEY = b"NOK"


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction opens: ``xid`` is widened to 64 bits, ``commit_lsn`` is where its commit record starts."""

    xid: int
    commit_lsn: int
    committed_at: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The open transaction is complete; ``end_lsn`` is the position after it."""

    commit_lsn: int
    end_lsn: int
    committed_at: int


class _Plan:
    """What decoding a relation's rows needs, worked out once per Relation message."""

    __slots__ = ("identity", "key", "key_position", "relation", "width")

    def __init__(self, relation: Relation, identity: tuple[int, ...]) -> None:
        self.relation = relation
        self.width = len(relation.columns)
        self.identity = identity
        self.key = relation.key_indexes
        # A key of one column is by far the most common and is worth its own path: 0.2 µs an event.
        self.key_position = self.key[0] if len(self.key) == 1 else -1


@dataclass(frozen=True, slots=True)
class _Described:
    """A Relation message whose primary key is not yet known."""

    relid: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[tuple[bool, str, int, int], ...]  # (part of the replica identity, name, type oid, typmod)


class Decoder:
    """Decodes the messages of one replication session in their order.

    The flags in a Relation message mark the replica identity, which is every column under REPLICA IDENTITY FULL.
    The primary key is the flagged columns under DEFAULT, and otherwise comes from ``primary_key``, asked once per
    relation and session, and then from the schema changes in the stream itself. It is asked again where a relation has
    come without a column of its key.

    ``publications`` limits schema changes to tables of these publications; None lets all pass.
    ``xid_reference`` is any 64-bit transaction id less than two thousand million transactions away.
    """

    def __init__(
        self,
        source: str,
        primary_key: PrimaryKeyLookup,
        *,
        xid_reference: int,
        publications: frozenset[str] | None = None,
    ) -> None:
        self._source = source
        self._primary_key = primary_key
        self._publications = publications
        self._xid_reference = xid_reference
        self._plans: dict[int, _Plan] = {}
        self._described: dict[int, _Described] = {}
        self._keys: dict[int, tuple[str, ...]] = {}
        self._xid = 0
        self._seq = 0
        self._handlers: dict[int, Callable[[bytes, int, list[Item]], None]] = {
            ord("I"): self._insert,
            ord("U"): self._update,
            ord("D"): self._delete,
            ord("T"): self._truncate,
            ord("M"): self._logical_message,
            ord("R"): self._relation,
            ord("Y"): self._type,
            ord("O"): self._origin,
        }

    def fork(self) -> Decoder:
        """An independent decoder that knows what this one knows now."""
        twin = Decoder(
            self._source, self._primary_key, xid_reference=self._xid_reference, publications=self._publications
        )
        twin._plans = dict(self._plans)
        twin._described = dict(self._described)
        twin._keys = dict(self._keys)
        return twin

    def learn_key(self, relid: int, key: tuple[str, ...]) -> None:
        """From the next row on the table has this primary key: the stream does not tell of a change by itself."""
        self._keys[relid] = key
        self._plans.pop(relid, None)

    def begin(self, data: bytes) -> Begin:
        """Decodes a Begin message and opens its transaction."""
        if data[:1] != b"B" or len(data) != 21:
            raise self._broken(data, 0, "not a Begin message of 21 bytes", 0)
        commit_lsn, timestamp, xid = _begin(data, 1)
        self._xid = self._widen(xid)
        self._seq = 0
        return Begin(self._xid, commit_lsn, timestamp + POSTGRES_EPOCH_MICROSECONDS)

    def transaction(self, messages: Iterable[tuple[int, bytes]]) -> Transaction:
        """Decodes one whole transaction, Begin to Commit. ``messages`` are (WAL start, data) pairs."""
        rest = iter(messages)
        _, first = next(rest)
        begin = self.begin(first)
        items: list[Item] = []
        decode = self.decode
        for lsn, data in rest:
            if data[:1] == b"C":
                end = commit(data)
                return Transaction(self._source, begin.xid, end.commit_lsn, end.end_lsn, end.committed_at, items)
            decode(data, lsn, items)
        raise DecodeError("B", 0, f"the transaction {begin.xid} has no Commit message", lsn=begin.commit_lsn)

    def decode(self, data: bytes, lsn: int, items: list[Item]) -> None:
        """Decodes any message inside a transaction and appends what it yields (nothing to many) to ``items``.

        ``lsn`` is the WAL start of the replication frame. Raises DecodeError; ``items`` is then as before.
        """
        try:
            handler = self._handlers[data[0]]
        except (KeyError, IndexError):
            raise self._broken(data, 0, "unknown message type", lsn) from None
        handler(data, lsn, items)

    def _insert(self, data: bytes, lsn: int, items: list[Item]) -> None:
        plan = self._plan(data, 1, lsn)
        if data[5:6] != b"N":
            raise self._broken(data, 5, "an Insert without a new row", lsn)
        after, _, pos = self._row(data, 6, plan.width, lsn)
        if pos != len(data):
            raise self._length(data, pos, lsn)
        at = plan.key_position
        key = (after[at],) if at >= 0 else tuple([after[i] for i in plan.key])
        seq = self._seq
        self._seq = seq + 1
        items.append(ChangeEvent(self._source, self._xid, lsn, seq, "c", plan.relation, key, None, after))  # type: ignore[arg-type]

    def _update(self, data: bytes, lsn: int, items: list[Item]) -> None:
        plan = self._plan(data, 1, lsn)
        before: list[Value] | None = None
        pos = 5
        kind = data[5] if len(data) > 5 else 0
        if kind in (_OLD, _KEY):
            before, _, pos = self._row(data, 6, plan.width, lsn)
            if kind == _KEY:
                before = self._key_image(before, plan)
            kind = data[pos] if len(data) > pos else 0
        if kind != _NEW:
            raise self._broken(data, pos, "an Update without a new row", lsn)
        after, partial, pos = self._row(data, pos + 1, plan.width, lsn)
        if pos != len(data):
            raise self._length(data, pos, lsn)
        if partial and before is not None:
            after = [old if new is UNCHANGED else new for old, new in zip(before, after, strict=True)]
        at = plan.key_position
        key = (after[at],) if at >= 0 else tuple([after[i] for i in plan.key])
        seq = self._seq
        self._seq = seq + 1
        items.append(ChangeEvent(self._source, self._xid, lsn, seq, "u", plan.relation, key, before, after))  # type: ignore[arg-type]

    def _delete(self, data: bytes, lsn: int, items: list[Item]) -> None:
        plan = self._plan(data, 1, lsn)
        kind = data[5] if len(data) > 5 else 0
        if kind not in (_OLD, _KEY):
            raise self._broken(data, 5, "a Delete without an old row", lsn)
        before, _, pos = self._row(data, 6, plan.width, lsn)
        if pos != len(data):
            raise self._length(data, pos, lsn)
        if kind == _KEY:
            before = self._key_image(before, plan)
        key = tuple([before[i] for i in plan.key])
        seq = self._seq
        self._seq = seq + 1
        items.append(ChangeEvent(self._source, self._xid, lsn, seq, "d", plan.relation, key, before, None))  # type: ignore[arg-type]

    def _truncate(self, data: bytes, lsn: int, items: list[Item]) -> None:
        if len(data) < 6:
            raise self._length(data, 6, lsn)
        (count,) = _u32(data, 1)
        if len(data) != 6 + 4 * count:
            raise self._length(data, 6 + 4 * count, lsn)
        plans = [self._plan(data, 6 + 4 * i, lsn) for i in range(count)]
        for plan in plans:
            items.append(ChangeEvent(self._source, self._xid, lsn, self._seq, "t", plan.relation, (), None, None))
            self._seq += 1

    def _logical_message(self, data: bytes, lsn: int, items: list[Item]) -> None:
        try:
            flags, message_lsn = _message(data, 1)
            prefix, pos = self._string(data, 10, lsn)
            (length,) = _u32(data, pos)
        except StructError:
            raise self._length(data, len(data) + 1, lsn) from None
        pos += 4
        if len(data) != pos + length:
            raise self._length(data, pos + length, lsn)
        transactional = bool(flags & 1)
        xid = self._xid if transactional else 0
        message = Message(self._source, xid, message_lsn, self._seq, prefix, data[pos:], transactional)
        if prefix != MESSAGE_PREFIX:
            items.append(message)
            return
        change, publications = parse_schema_change(message)
        self._keys[change.relid] = change.key
        if self._publications is None or not self._publications.isdisjoint(publications):
            items.append(change)

    def _relation(self, data: bytes, lsn: int, items: list[Item]) -> None:
        try:
            (relid,) = _u32(data, 1)
            schema, pos = self._string(data, 5, lsn)
            table, pos = self._string(data, pos, lsn)
            replica_identity = chr(data[pos])
            (count,) = _u16(data, pos + 1)
            pos += 3
            columns = []
            for _ in range(count):
                flags = data[pos]
                name, pos = self._string(data, pos + 1, lsn)
                type_oid, type_modifier = _column(data, pos)
                pos += 8
                columns.append((bool(flags & 1), name, type_oid, type_modifier))
        except (StructError, IndexError):
            raise self._length(data, len(data) + 1, lsn) from None
        if pos != len(data):
            raise self._length(data, pos, lsn)
        # The key is worked out at the relation's first row: only a row carries the LSN that the key must be right for.
        self._described[relid] = _Described(relid, schema or "pg_catalog", table, replica_identity, tuple(columns))
        self._plans.pop(relid, None)

    def _type(self, data: bytes, lsn: int, items: list[Item]) -> None:
        _, pos = self._string(data, 5, lsn)
        _, pos = self._string(data, pos, lsn)
        if pos != len(data):
            raise self._length(data, pos, lsn)

    def _origin(self, data: bytes, lsn: int, items: list[Item]) -> None:
        _, pos = self._string(data, 9, lsn)
        if pos != len(data):
            raise self._length(data, pos, lsn)

    def _plan(self, data: bytes, pos: int, lsn: int) -> _Plan:
        try:
            (relid,) = _u32(data, pos)
        except StructError:
            raise self._length(data, pos + 4, lsn) from None
        plan = self._plans.get(relid)
        if plan is not None:
            return plan
        described = self._described.get(relid)
        if described is None:
            raise self._broken(data, pos, f"relation {relid} was never described", lsn)
        plan = self._plans[relid] = self._make_plan(described, lsn)
        return plan

    def _make_plan(self, described: _Described, lsn: int) -> _Plan:
        names = {name for _, name, _, _ in described.columns}
        if described.replica_identity == "d":
            key = frozenset(name for flagged, name, _, _ in described.columns if flagged)
        else:
            known = self._keys.get(described.relid)
            if known is None or not names.issuperset(known):
                known = self._keys[described.relid] = self._primary_key(described.relid, lsn, names)
            key = frozenset(known)
        absent = key - names
        if absent:
            problem = (
                f"the primary key of {described.schema}.{described.table} is said to have {', '.join(sorted(absent))}, "
                "which the stream does not; its schema was changed where the schema trigger did not see it"
            )
            raise DecodeError("R", 0, problem, lsn=lsn)
        relation = Relation(
            described.relid,
            described.schema,
            described.table,
            described.replica_identity,
            tuple(Column(name, type_oid, typmod, name in key) for _, name, type_oid, typmod in described.columns),
        )
        identity = tuple(i for i, (flagged, _, _, _) in enumerate(described.columns) if flagged)
        return _Plan(relation, identity)

    def _row(self, data: bytes, pos: int, width: int, lsn: int) -> tuple[list[Value], bool, int]:
        """(values, whether one is UNCHANGED, position after the row)."""
        values: list[Value] = []
        append = values.append
        u32 = _u32
        partial = False
        try:
            (count,) = _u16(data, pos)
            if count != width:
                raise self._broken(data, pos, f"a row of {count} columns in a relation of {width}", lsn)
            pos += 2
            for _ in range(count):
                kind = data[pos]
                if kind == _TEXT:
                    (length,) = u32(data, pos + 1)
                    pos += 5
                    append(data[pos : pos + length].decode())
                    pos += length
                elif kind == _NULL:
                    append(None)
                    pos += 1
                elif kind == _TOAST:
                    append(UNCHANGED)
                    partial = True
                    pos += 1
                else:
                    raise self._broken(data, pos, f"unknown kind of column value {chr(kind)!r}", lsn)
        except (StructError, IndexError):
            raise self._length(data, max(pos, len(data)) + 1, lsn) from None
        except UnicodeDecodeError as error:
            raise self._broken(data, pos, f"a column value is not UTF-8 ({error.reason})", lsn) from None
        if pos > len(data):
            raise self._length(data, pos, lsn)
        return values, partial, pos

    @staticmethod
    def _key_image(row: list[Value], plan: _Plan) -> list[Value]:
        """An old image of the replica identity alone: pgoutput sends NULL in every other place."""
        image: list[Value] = [UNCHANGED] * len(row)
        for i in plan.identity:
            image[i] = row[i]
        return image

    def _string(self, data: bytes, pos: int, lsn: int) -> tuple[str, int]:
        end = data.find(b"\0", pos)
        if end < 0:
            raise self._broken(data, min(pos, len(data)), "a string without an end", lsn)
        try:
            return data[pos:end].decode(), end + 1
        except UnicodeDecodeError as error:
            raise self._broken(data, pos, f"a string is not UTF-8 ({error.reason})", lsn) from None

    def _widen(self, xid: int) -> int:
        """The 64-bit transaction id nearest to the last one with these lower 32 bits."""
        reference = self._xid_reference
        wide = reference + ((xid - reference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        self._xid_reference = max(reference, wide)
        return wide

    @staticmethod
    def _broken(data: bytes, offset: int, problem: str, lsn: int) -> DecodeError:
        return DecodeError(data[:1].decode("latin-1"), offset, problem, lsn=lsn)

    @classmethod
    def _length(cls, data: bytes, expected: int, lsn: int) -> DecodeError:
        if expected > len(data):
            return cls._broken(data, len(data), "the message ends too early", lsn)
        return cls._broken(data, expected, f"{len(data) - expected} bytes follow the end of the message", lsn)


def commit(data: bytes) -> Commit:
    """Decodes a Commit message. Raises DecodeError."""
    if data[:1] != b"C" or len(data) != 26:
        raise _malformed(data, "not a Commit message of 26 bytes")
    _, commit_lsn, end_lsn, timestamp = _commit(data, 1)
    return Commit(commit_lsn, end_lsn, timestamp + POSTGRES_EPOCH_MICROSECONDS)


def relation_id(data: bytes) -> int:
    """The table that a Relation message describes."""
    return int.from_bytes(data[1:5])


def stream_start(data: bytes) -> tuple[int, bool]:
    """(transaction, whether this is its first block) of a Stream Start message. ``xid``s here have 32 bits."""
    if data[:1] != b"S" or len(data) != 6:
        raise _malformed(data, "not a Stream Start message of 6 bytes")
    return int.from_bytes(data[1:5]), bool(data[5])


def streamed(data: bytes) -> tuple[int, bytes]:
    """(subtransaction, the message without it) of a message in a block; a logical message names its transaction."""
    if len(data) < 5:
        raise _malformed(data, "a streamed message without a transaction id")
    return int.from_bytes(data[1:5]), data[:1] + data[5:]


def stream_commit(data: bytes) -> tuple[int, bytes, bytes]:
    """(transaction, the Begin and the Commit message that it would have had unstreamed) of a Stream Commit message."""
    if data[:1] != b"c" or len(data) != 30:
        raise _malformed(data, "not a Stream Commit message of 30 bytes")
    xid, commit_lsn, timestamp = data[1:5], data[6:14], data[22:30]
    return int.from_bytes(xid), b"B" + commit_lsn + timestamp + xid, b"C" + data[5:]


def stream_abort(data: bytes) -> tuple[int, int]:
    """(transaction, subtransaction) of a Stream Abort message; both are the same where all of it was rolled back."""
    if data[:1] != b"A" or len(data) != 9:
        raise _malformed(data, "not a Stream Abort message of 9 bytes")
    return int.from_bytes(data[1:5]), int.from_bytes(data[5:9])


def _malformed(data: bytes, problem: str) -> DecodeError:
    return DecodeError(data[:1].decode("latin-1"), 0, problem)
