"""Puts the frames of a stream together to whole transactions, those too that the server sends before they commit.

From ``logical_decoding_work_mem`` on the server streams a transaction in blocks, among those of others, and says at the
end whether it was committed; a savepoint that is rolled back takes the end of what has come of its transaction with it.
What is handed on, at the commit, is what would have come without streaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from cdc.ddl import MESSAGE_PREFIX
from cdc.errors import DecodeError
from cdc.pgoutput import commit, relation_id, stream_abort, stream_commit, stream_start, streamed
from cdc.sources.spool import Spool

Frame = tuple[int, bytes]
"""(WAL start, message as protocol 1 has it)."""

_BEGIN, _COMMIT, _MESSAGE, _RELATION, _TRUNCATE, _ORIGIN = b"BCMRTO"
_START, _STOP, _STREAM_COMMIT, _ABORT = b"SEcA"
_ROWS: Final = frozenset(b"IUD")
# What a message takes in memory beside its payload: a tuple, an int and the header of a bytes object.
_OVERHEAD: Final = 120
_DDL: Final = MESSAGE_PREFIX.encode() + b"\0"


class SavepointInDoubt(Exception):
    """A savepoint of a streamed transaction was rolled back, and messages right before it may have been part of it.

    A streamed message names its transaction, and not the savepoint as rows do (PostgreSQL 18.4). Read without
    streaming, up to ``end_lsn``, the transaction comes with those messages alone that were committed.
    """

    def __init__(self, xid: int, end_lsn: int) -> None:
        super().__init__(f"a savepoint of transaction {xid} was rolled back right after a message")
        self.end_lsn = end_lsn


class Extent(NamedTuple):
    """How far a transaction had come at one moment; ``payload`` is in bytes."""

    frames: int
    firm: int
    payload: int
    changes: int
    others: int
    schema: int


@dataclass(slots=True)
class RawTransaction:
    """One transaction as received: ``begin``, ``commit``, and what is between them in ``messages`` or in ``spool``.

    ``schema_messages`` are those that later transactions need as well (relations, schema changes); ``others`` counts
    the logical messages that are no schema change. The first ``firm`` of ``frames`` end with one that is no message.
    ``skipped`` ones were stored before; only their schema messages are kept.
    """

    begin: bytes = b""
    commit: bytes = b""
    messages: list[Frame] = field(default_factory=list)
    schema_messages: list[Frame] = field(default_factory=list)
    frames: int = 0
    firm: int = 0
    payload: int = 0
    changes: int = 0
    others: int = 0
    end_lsn: int = 0
    spool: Spool | None = None
    streamed: bool = False
    skipped: bool = False

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return 0 if self.spool is not None or self.skipped else self.payload + self.frames * _OVERHEAD

    @property
    def extent(self) -> Extent:
        return Extent(self.frames, self.firm, self.payload, self.changes, self.others, len(self.schema_messages))

    def whole(self) -> Iterator[Frame]:
        """Begin to Commit."""
        return chain([(0, self.begin)], self.messages if self.spool is None else self.spool, [(0, self.commit)])

    def add(self, lsn: int, data: bytes) -> None:
        """Raises OSError when the disk is full."""
        tag = data[0]
        self.frames += 1
        self.payload += len(data)
        if tag in _ROWS:
            self.changes += 1
            self.firm = self.frames
        elif tag == _MESSAGE:
            if data.startswith(_DDL, 10):
                self.schema_messages.append((lsn, data))
            else:
                self.others += 1
        else:
            self.firm = self.frames
            if tag == _TRUNCATE:
                self.changes += int.from_bytes(data[1:5])
            elif tag == _RELATION:
                self.schema_messages.append((lsn, data))
        if self.spool is None:
            self.messages.append((lsn, data))
        else:
            self.spool.append(lsn, data)

    def cut(self, extent: Extent) -> None:
        """Takes away what came after ``extent``."""
        self.frames, self.firm, self.payload, self.changes, self.others, schema = extent
        del self.schema_messages[schema:]
        if self.spool is None:
            del self.messages[extent.frames :]
        else:
            self.spool.cut(extent.frames, extent.payload)

    def move_to_disk(self, directory: Path) -> None:
        self.spool = Spool(directory)
        for lsn, data in self.messages:
            self.spool.append(lsn, data)
        self.messages.clear()

    def skip(self) -> None:
        self.drop()
        self.changes = 0
        self.skipped = True

    def drop(self) -> None:
        self.messages.clear()
        if self.spool is not None:
            self.spool.close()
            self.spool = None


@dataclass(slots=True)
class _Streamed:
    """A transaction that is on its way: where each of its subtransactions began, and from which frame on messages may
    be of a savepoint that was rolled back."""

    transaction: RawTransaction
    begun: dict[int, Extent] = field(default_factory=dict)
    doubtful: int | None = None
    described: list[int] = field(default_factory=list)  # when each of the schema messages came

    def abort(self, subxid: int) -> None:
        """Whatever came since a subtransaction began is its own, or of one within it."""
        transaction = self.transaction
        began = self.begun.pop(subxid, None)
        if began is not None and began.frames < transaction.frames:
            transaction.cut(began)
            del self.described[began.schema :]
        if self.doubtful is not None and self.doubtful >= transaction.frames:
            self.doubtful = None
        if transaction.firm < transaction.frames:
            self.doubtful = min(transaction.firm, transaction.frames if self.doubtful is None else self.doubtful)


class Assembler:
    """Takes the frames of one connection in their order. Transactions that end at or before ``skip_until`` are skipped.

    A transaction of more than ``spool_changes`` or ``spool_bytes`` goes to a file in ``spool_dir``; of those that are
    streamed, the largest do once they take ``spool_bytes`` together.
    """

    def __init__(self, *, skip_until: int, spool_dir: Path, spool_changes: int, spool_bytes: int) -> None:
        self._skip_until = skip_until
        self._spool_dir = spool_dir
        self._spool_changes = spool_changes
        self._spool_bytes = spool_bytes
        self._open: RawTransaction | None = None
        self._block: _Streamed | None = None
        self._streamed: dict[int, _Streamed] = {}
        self.streamed_bytes = 0  # in memory
        self._relations = 0
        self._described: dict[int, int] = {}

    @property
    def is_within(self) -> bool:
        """More of the same transaction is to follow directly."""
        return self._open is not None or self._block is not None

    def add(self, lsn: int, data: bytes) -> RawTransaction | None:
        """The transaction that the message completes, if it does.

        Raises OSError when the disk is full, DecodeError, or SavepointInDoubt.
        """
        tag = data[0]
        if self._block is not None:
            if tag == _STOP:
                self._block = None
            else:
                self._add_streamed(self._block, lsn, data)
        elif tag == _BEGIN:
            self._open = RawTransaction(begin=data)
        elif self._open is not None:
            if tag == _COMMIT:
                return self._complete(data)
            self._open.add(lsn, data)
            if self._open.spool is None and self._is_large(self._open):
                self._open.move_to_disk(self._spool_dir)
        elif tag == _START:
            xid, is_first = stream_start(data)
            if is_first:
                self._streamed[xid] = _Streamed(RawTransaction(streamed=True))
            self._block = self._on_its_way(xid, data)
        elif tag == _STREAM_COMMIT:
            return self._commit_streamed(data)
        elif tag == _ABORT:
            self._abort(data)
        # Else a message of no transaction: it belongs to no commit, so there is no order to give it.
        return None

    def close(self) -> None:
        """Gives up what is incomplete."""
        for transaction in (self._open, *(one.transaction for one in self._streamed.values())):
            if transaction is not None:
                transaction.drop()
        self._open = self._block = None
        self._streamed.clear()

    def _add_streamed(self, block: _Streamed, lsn: int, data: bytes) -> None:
        transaction = block.transaction
        before = transaction.size
        if data[0] != _ORIGIN:
            subxid, data = streamed(data)
            if subxid not in block.begun:
                block.begun[subxid] = transaction.extent
        transaction.add(lsn, data)
        if len(transaction.schema_messages) > len(block.described):
            self._relations += 1
            block.described.append(self._relations)
        self.streamed_bytes += transaction.size - before
        if transaction.spool is None and self._is_large(transaction):
            self._spool(transaction)
        elif self.streamed_bytes > self._spool_bytes:
            self._spool(max((one.transaction for one in self._streamed.values()), key=lambda held: held.size))

    def _spool(self, transaction: RawTransaction) -> None:
        self.streamed_bytes -= transaction.size
        transaction.move_to_disk(self._spool_dir)

    def _abort(self, data: bytes) -> None:
        xid, subxid = stream_abort(data)
        aborted = self._on_its_way(xid, data)
        before = aborted.transaction.size
        if subxid == xid:
            del self._streamed[xid]
            aborted.transaction.drop()
            self.streamed_bytes -= before
        else:
            aborted.abort(subxid)
            self.streamed_bytes += aborted.transaction.size - before

    def _commit_streamed(self, data: bytes) -> RawTransaction | None:
        xid, begin, end = stream_commit(data)
        committed = self._on_its_way(xid, data)
        transaction = committed.transaction
        if committed.doubtful is not None:
            raise SavepointInDoubt(xid, commit(end).end_lsn)
        del self._streamed[xid]
        self.streamed_bytes -= transaction.size
        if transaction.frames == 0:
            transaction.drop()
            return None  # without streaming nothing is sent of it
        transaction.begin = begin
        self._keep_latest(committed)
        self._open = transaction
        return self._complete(end)

    def _complete(self, data: bytes) -> RawTransaction:
        transaction, self._open = self._open, None
        assert transaction is not None
        transaction.commit = data
        transaction.end_lsn = commit(data).end_lsn
        if not transaction.streamed:
            for _, message in transaction.schema_messages:
                self._relations += 1
                if message[0] == _RELATION:
                    self._described[relation_id(message)] = self._relations
        if transaction.spool is not None:
            transaction.spool.finish()
        if transaction.end_lsn <= self._skip_until:
            transaction.skip()
        return transaction

    def _keep_latest(self, committed: _Streamed) -> None:
        """Leaves out descriptions of tables that were described anew, to others, since they came: the server holds that
        the last one it has sent is known."""
        kept = []
        for came, frame in zip(committed.described, committed.transaction.schema_messages, strict=True):
            if frame[1][0] == _RELATION:
                relid = relation_id(frame[1])
                if came < self._described.get(relid, 0):
                    continue
                self._described[relid] = came
            kept.append(frame)
        committed.transaction.schema_messages = kept

    def _is_large(self, transaction: RawTransaction) -> bool:
        return transaction.changes > self._spool_changes or transaction.size > self._spool_bytes

    def _on_its_way(self, xid: int, data: bytes) -> _Streamed:
        found = self._streamed.get(xid)
        if found is None:
            raise DecodeError(data[:1].decode("latin-1"), 1, f"nothing was streamed of transaction {xid}")
        return found
