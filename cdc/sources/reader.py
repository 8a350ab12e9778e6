"""Reads one replication stream in a thread: frames become whole raw transactions in a bounded queue.

The thread decodes nothing; it keeps the connection alive while the consumer is busy, moves large transactions to disk,
and stops reading (so that the server's WAL, not our memory, holds the rest) when enough is queued.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Final

from cdc.ddl import MESSAGE_PREFIX
from cdc.errors import SpoolError
from cdc.pgoutput import commit
from cdc.sources.replication import ReplicationConnection, ReplicationError
from cdc.sources.spool import Spool

_u64: Final = Struct(">Q").unpack_from
_XLOG_DATA, _KEEPALIVE = b"wk"
_BEGIN, _COMMIT, _MESSAGE, _RELATION, _TRUNCATE = b"BCMRT"
_ROWS: Final = frozenset(b"IUD")
_HEADER: Final = 25
# What a queued message takes beside its payload: a tuple, an int and the header of a bytes object.
_OVERHEAD: Final = 120
_DDL: Final = MESSAGE_PREFIX.encode() + b"\0"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the reader: queued bytes, and the size from which one transaction goes to disk."""

    queued_bytes: int = 64 << 20
    spool_changes: int = 50_000
    spool_bytes: int = 32 << 20
    idle_seconds: float = 10.0


@dataclass(slots=True)
class RawTransaction:
    """One transaction as received: ``messages`` from Begin to Commit, or ``spool``.

    ``schema_messages`` are those that later transactions need as well (relations, schema changes); ``others`` counts
    the logical messages that are no schema change.
    ``skipped`` ones were stored before; only their schema messages are kept.
    """

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    schema_messages: list[tuple[int, bytes]] = field(default_factory=list)
    changes: int = 0
    others: int = 0
    size: int = 0
    end_lsn: int = 0
    spool: Spool | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What the queue gave: transactions, or none and the position to which an idle stream has moved."""

    transactions: list[RawTransaction]
    idle_lsn: int = 0


class StreamReader:
    """Owns ``connection`` from now on. Transactions that end at or before ``stored_lsn`` are skipped.

    The next ``take`` raises what ended the thread: psycopg.OperationalError, ReplicationError, SpoolError, DecodeError.
    """

    def __init__(
        self, connection: ReplicationConnection, *, name: str, stored_lsn: int, spool_dir: Path, limits: Limits
    ) -> None:
        self._connection = connection
        self._name = name
        self._spool_dir = spool_dir
        self._limits = limits
        self._skip_until = stored_lsn
        self._stored_lsn = stored_lsn
        self._received_lsn = stored_lsn
        self._open: RawTransaction | None = None
        self._changed = threading.Condition()
        self._queue: deque[RawTransaction] = deque()
        self._queued_bytes = 0
        self._idle_lsn = 0
        self._idle_urgent = False
        self._given_lsn = stored_lsn
        self._given_at = time.monotonic()
        self._failure: Exception | None = None
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._run, name=f"stream-{name}", daemon=True)
        self._thread.start()

    def take(self, max_changes: int, timeout: float) -> Taken | None:
        """Transactions of about ``max_changes``, a spooled one alone; or an idle position; None after ``timeout``."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self._queue:
                    taken = self._pop(max_changes)
                    break
                now = time.monotonic()
                idle_due = deadline
                if self._idle_lsn > self._given_lsn:
                    idle_due = 0.0 if self._idle_urgent else self._given_at + self._limits.idle_seconds
                    if idle_due <= now:
                        self._give(self._idle_lsn)
                        return Taken([], self._idle_lsn)
                if now >= deadline:
                    return None
                self._changed.wait(min(deadline, idle_due) - now)
        self._wake()
        return taken

    @property
    def queued_bytes(self) -> int:
        """What the queued transactions take in memory; the open one is not counted."""
        return self._queued_bytes

    def acknowledge(self, lsn: int) -> None:
        """Tells the server at once that everything up to ``lsn`` may be forgotten."""
        self._stored_lsn = max(self._stored_lsn, lsn)
        self._wake()

    def close(self) -> None:
        """Sends the last acknowledgement, ends the thread and the connection."""
        self._stopping = True
        self._wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
        for transaction in self._queue:
            if transaction.spool is not None:
                transaction.spool.close()
        self._queue.clear()

    def _pop(self, max_changes: int) -> Taken:
        transactions: list[RawTransaction] = []
        changes = 0
        while self._queue:
            head = self._queue[0]
            if transactions and (head.spool is not None or changes + head.changes > max_changes):
                break
            transactions.append(self._queue.popleft())
            self._queued_bytes -= head.size
            changes += head.changes
            if head.spool is not None:
                break
        self._give(transactions[-1].end_lsn)
        return Taken(transactions)

    def _give(self, lsn: int) -> None:
        self._given_lsn = max(self._given_lsn, lsn)
        self._given_at = time.monotonic()
        self._idle_urgent = False

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wake-ups already
            os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        try:
            self._read_until_stopped()
        except Exception as error:
            with self._changed:
                # The spool is the only file that this thread writes.
                self._failure = SpoolError(self._name, self._spool_dir, error) if isinstance(error, OSError) else error
                self._changed.notify_all()
        finally:
            if self._open is not None and self._open.spool is not None:
                self._open.spool.close()
            self._connection.close()

    def _read_until_stopped(self) -> None:
        pgconn = self._connection.pgconn
        socket = pgconn.socket
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        told_lsn = 0
        told_at = 0.0
        interval = min(self._limits.idle_seconds, 10.0)
        paused = True  # until the first round, which registers the socket
        while True:
            now = time.monotonic()
            due = now >= told_at + interval
            if due or self._stored_lsn > told_lsn:
                told_lsn = self._stored_lsn
                # The reply is a keepalive that says how far an idle server has come.
                self._connection.send_status(self._received_lsn, told_lsn, want_reply=due)
                if due:
                    told_at = now
            if self._stopping:
                return
            full = self._queued_bytes >= self._limits.queued_bytes
            if full != paused:
                paused = full
                if full:
                    poll.unregister(socket)
                else:
                    poll.register(socket, select.POLLIN)
                    # libpq may hold frames that it has read already, for which the socket will not wake us.
                    self._drain()
                    continue
            for descriptor, _ in poll.poll(max(0.0, told_at + interval - now) * 1000):
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                else:
                    pgconn.consume_input()
            if not paused:
                self._drain()

    def _drain(self) -> None:
        """Takes every frame that libpq holds, until the queue is full."""
        get_copy_data = self._connection.pgconn.get_copy_data
        done: list[RawTransaction] = []
        room = self._limits.queued_bytes - self._queued_bytes
        urgent = False
        while room > 0:
            length, frame = get_copy_data(1)
            if length == 0:
                break
            if length < 0:
                raise ReplicationError(self._connection.end_reason())
            if frame[0] == _XLOG_DATA:
                finished = self._add(_u64(frame, 1)[0], bytes(frame[_HEADER:]))
                if finished is not None:
                    done.append(finished)
                    room -= finished.size
            elif frame[0] == _KEEPALIVE:
                self._received_lsn = max(self._received_lsn, _u64(frame, 1)[0])
                urgent = urgent or bool(frame[17])
        with self._changed:
            self._queue.extend(done)
            self._queued_bytes += sum(transaction.size for transaction in done)
            if self._open is None:
                self._idle_lsn = self._received_lsn
                # The server asks for an answer when it waits for us, as in a shutdown: then at once, not at leisure.
                self._idle_urgent = self._idle_urgent or urgent
            if done or urgent or self._idle_lsn > self._given_lsn:
                self._changed.notify_all()

    def _add(self, lsn: int, data: bytes) -> RawTransaction | None:
        """Adds a message to the open transaction; gives the transaction back once it is complete."""
        tag = data[0]
        if tag == _BEGIN:
            self._open = RawTransaction()
        transaction = self._open
        if transaction is None:
            # A non-transactional message: it belongs to no commit, so there is no order to give it.
            return None
        if tag in _ROWS:
            transaction.changes += 1
        elif tag == _TRUNCATE:
            transaction.changes += int.from_bytes(data[1:5])
        elif tag == _RELATION or (tag == _MESSAGE and data.startswith(_DDL, 10)):
            transaction.schema_messages.append((lsn, data))
        elif tag == _MESSAGE:
            transaction.others += 1
        if transaction.spool is None:
            transaction.messages.append((lsn, data))
            transaction.size += len(data) + _OVERHEAD
            if transaction.changes > self._limits.spool_changes or transaction.size > self._limits.spool_bytes:
                self._move_to_disk(transaction)
        else:
            transaction.spool.append(lsn, data)
        if tag != _COMMIT:
            return None
        return self._complete(transaction, commit(data).end_lsn)

    def _move_to_disk(self, transaction: RawTransaction) -> None:
        transaction.spool = Spool(self._spool_dir)
        for lsn, data in transaction.messages:
            transaction.spool.append(lsn, data)
        transaction.messages.clear()
        transaction.size = 0

    def _complete(self, transaction: RawTransaction, end_lsn: int) -> RawTransaction:
        self._open = None
        self._received_lsn = max(self._received_lsn, end_lsn)
        transaction.end_lsn = end_lsn
        if transaction.spool is not None:
            transaction.spool.finish()
        if end_lsn <= self._skip_until:
            transaction.skipped = True
            transaction.messages.clear()
            transaction.changes = transaction.size = 0
            if transaction.spool is not None:
                transaction.spool.close()
                transaction.spool = None
        return transaction
