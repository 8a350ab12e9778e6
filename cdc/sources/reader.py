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
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from cdc.errors import SpoolError
from cdc.sources.assembly import Assembler, RawTransaction
from cdc.sources.replication import ReplicationConnection, ReplicationError

_u64: Final = Struct(">Q").unpack_from
_XLOG_DATA, _KEEPALIVE = b"wk"
_HEADER: Final = 25


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the reader: queued bytes, the size from which one transaction goes to disk, how often an idle stream's
    position is given, and for how long the server may say nothing although it was asked."""

    queued_bytes: int = 64 << 20
    spool_changes: int = 50_000
    spool_bytes: int = 32 << 20
    idle_seconds: float = 10.0
    silence_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What the queue gave: transactions, or none and the position to which an idle stream has moved."""

    transactions: list[RawTransaction]
    idle_lsn: int = 0


class StreamReader:
    """Owns ``connection`` from now on. Transactions that end at or before ``given_lsn`` are skipped; what the
    server may forget, ``stored_lsn``, may lie before that.

    The next ``take`` raises what ended the thread: psycopg.OperationalError, ReplicationError, SpoolError, DecodeError,
    or SavepointInDoubt.
    """

    def __init__(
        self,
        connection: ReplicationConnection,
        *,
        name: str,
        stored_lsn: int,
        given_lsn: int,
        spool_dir: Path,
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._name = name
        self._spool_dir = spool_dir
        self._limits = limits
        self._stored_lsn = stored_lsn
        self._received_lsn = given_lsn
        self._assembler = Assembler(
            skip_until=given_lsn,
            spool_dir=spool_dir,
            spool_changes=limits.spool_changes,
            spool_bytes=limits.spool_bytes,
        )
        self._changed = threading.Condition()
        self._queue: deque[RawTransaction] = deque()
        self._queued_bytes = 0
        self._idle_lsn = 0
        self._idle_urgent = False
        self._given_lsn = given_lsn
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
        """What the queued transactions take in memory; those that are not complete are not counted."""
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
            self._assembler.close()
            self._connection.close()

    def _read_until_stopped(self) -> None:
        pgconn = self._connection.pgconn
        socket = pgconn.socket
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        told_lsn = 0
        told_at = 0.0
        interval = min(self._limits.idle_seconds, self._limits.silence_seconds / 4, 10.0)
        unanswered_since: float | None = None
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
                    unanswered_since = unanswered_since or now
            if self._stopping:
                return
            full = self._queued_bytes >= self._limits.queued_bytes
            if full != paused:
                paused = full
                if full:
                    poll.unregister(socket)
                else:
                    poll.register(socket, select.POLLIN)
                    unanswered_since = None  # nobody listened while the queue was full
                    # libpq may hold frames that it has read already, for which the socket will not wake us.
                    self._drain()
                    continue
            for descriptor, _ in poll.poll(max(0.0, told_at + interval - now) * 1000):
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                else:
                    pgconn.consume_input()
                    unanswered_since = None
            if not paused:
                self._drain()
                if unanswered_since and time.monotonic() > unanswered_since + self._limits.silence_seconds:
                    # A server that hangs, or a network that swallows packets, breaks no connection.
                    raise ReplicationError(f"no answer for {self._limits.silence_seconds:.0f} s")

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
                finished = self._assembler.add(_u64(frame, 1)[0], bytes(frame[_HEADER:]))
                if finished is not None:
                    self._received_lsn = max(self._received_lsn, finished.end_lsn)
                    done.append(finished)
                    room -= finished.size
            elif frame[0] == _KEEPALIVE:
                self._received_lsn = max(self._received_lsn, _u64(frame, 1)[0])
                urgent = urgent or bool(frame[17])
        with self._changed:
            self._queue.extend(done)
            self._queued_bytes += sum(transaction.size for transaction in done)
            if not self._assembler.is_within:
                self._idle_lsn = self._received_lsn
                # The server asks for an answer when it waits for us, as in a shutdown: then at once, not at leisure.
                self._idle_urgent = self._idle_urgent or urgent
            if done or urgent or self._idle_lsn > self._given_lsn:
                self._changed.notify_all()
