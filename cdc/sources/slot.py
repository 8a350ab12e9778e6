"""The embedded transport: a logical replication slot of PostgreSQL, read as whole transactions in commit order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cdc.errors import EpochMismatch, PublicationMismatch, SlotGap, SlotInUse, SlotMissing, SourceUnavailable
from cdc.events import Batch, Item, Transaction
from cdc.keys import KeyHistory
from cdc.pgoutput import Decoder
from cdc.positions import Epoch, Position, format_lsn, parse_lsn
from cdc.sources.reader import Limits, RawTransaction, StreamReader
from cdc.sources.replication import ReplicationConnection, ReplicationError, System
from cdc.sources.spool import Spool, SpooledItems


class SlotSource:
    """One database's stream through the slot ``slot`` and the publications named.

    ``dsn`` is libpq's connection string of a role with REPLICATION. Large transactions go through ``spool_dir``.
    ``slot_timeout``: seconds that ``start`` waits for another reader (a killed one's, most often) to leave the slot.
    Not for use by several threads at once.
    """

    def __init__(
        self,
        name: str,
        dsn: str,
        *,
        slot: str,
        publications: Sequence[str],
        spool_dir: Path,
        limits: Limits | None = None,
        slot_timeout: float = 30.0,
    ) -> None:
        self.name = name
        self.slot = slot
        self._dsn = dsn
        self._publications = tuple(publications)
        self._spool_dir = spool_dir
        self._limits = limits or Limits()
        self._slot_timeout = slot_timeout
        self._reader: StreamReader | None = None
        self._decoder: Decoder | None = None
        self._epoch: Epoch | None = None
        self._spools: list[tuple[int, Spool]] = []

    def start(self, stored: Position | None) -> None:
        """Begin after ``stored``, or at the slot's own position if None. May be called again after any error.

        Raises SlotMissing, SlotGap, EpochMismatch, SlotInUse, PublicationMismatch or SourceUnavailable.
        """
        self.close()
        try:
            connection = ReplicationConnection(self._dsn)
            try:
                lsn = self._begin(connection, stored)
            except BaseException:
                connection.close()
                raise
        except (psycopg.OperationalError, ReplicationError) as error:
            raise SourceUnavailable(self.name, error) from error
        self._reader = StreamReader(
            connection, name=self.name, stored_lsn=lsn, spool_dir=self._spool_dir, limits=self._limits
        )

    @property
    def epoch(self) -> Epoch:
        """The epoch of the positions this source gives. Known once started."""
        if self._epoch is None:
            raise RuntimeError(f"source {self.name} is not started")
        return self._epoch

    def read(self, max_changes: int, timeout: float) -> Batch | None:
        """Whole transactions up to about ``max_changes`` changes, a spooled one alone; None after ``timeout`` seconds.

        A batch without transactions says that the stream is idle and has moved on; store its position as well.
        Raises SourceUnavailable when the connection breaks, SpoolError, or DecodeError; then ``start`` again.
        """
        if self._reader is None:
            raise RuntimeError(f"source {self.name} is not started")
        deadline = time.monotonic() + timeout
        while True:
            try:
                taken = self._reader.take(max_changes, max(0.0, deadline - time.monotonic()))
                if taken is None:
                    return None
                fresh = [raw for raw in taken.transactions if not self._skip(raw)]
                if fresh or not taken.transactions:
                    return self._batch(fresh, taken.idle_lsn)
            except (psycopg.OperationalError, ReplicationError) as error:
                raise SourceUnavailable(self.name, error) from error

    def acknowledge(self, position: Position) -> None:
        """Lets the server forget everything up to ``position``, which must have been stored. Never raises for a
        broken connection: the next ``read`` does. Spooled items up to ``position`` cannot be read any more."""
        if position.epoch != self.epoch:
            raise EpochMismatch(self.name, stored=position.epoch, found=self.epoch)
        self._forget_spools(position.lsn)
        if self._reader is not None:
            self._reader.acknowledge(position.lsn)

    def close(self) -> None:
        """Ends the connections; the slot and what it keeps stay."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._forget_spools(None)

    def _batch(self, raws: list[RawTransaction], idle_lsn: int) -> Batch:
        transactions = [self._decode(raw) for raw in raws]
        return Batch(
            source=self.name,
            position=Position(self.name, self.epoch, raws[-1].end_lsn if raws else idle_lsn),
            transactions=transactions,
            changes=sum(raw.changes for raw in raws),
            spooled=any(raw.spool is not None for raw in raws),
        )

    def _decode(self, raw: RawTransaction) -> Transaction:
        assert self._decoder is not None
        if raw.spool is None:
            return self._decoder.transaction(raw.messages)
        before = self._decoder.fork()
        begin_data = next(iter(raw.spool))[1]
        begin = self._decoder.begin(begin_data)
        schema_changes = self._learn(raw)
        self._spools.append((raw.end_lsn, raw.spool))
        items = SpooledItems(raw.spool, before, raw.changes + raw.others + schema_changes)
        return Transaction(self.name, begin.xid, begin.commit_lsn, raw.end_lsn, begin.committed_at, items)

    def _skip(self, raw: RawTransaction) -> bool:
        if raw.skipped:
            self._learn(raw)
        return raw.skipped

    def _learn(self, raw: RawTransaction) -> int:
        """Decodes the messages that later transactions need; how many items (schema changes) they gave."""
        assert self._decoder is not None
        items: list[Item] = []
        for lsn, data in raw.schema_messages:
            self._decoder.decode(data, lsn, items)
        return len(items)

    def _forget_spools(self, lsn: int | None) -> None:
        kept = []
        for end_lsn, spool in self._spools:
            if lsn is None or end_lsn <= lsn:
                spool.close()
            else:
                kept.append((end_lsn, spool))
        self._spools = kept

    def _begin(self, connection: ReplicationConnection, stored: Position | None) -> int:
        """Checks everything, makes the decoder and starts the stream; the LSN after which it starts."""
        system = connection.identify()
        self._epoch = Epoch(system.system_id, system.timeline, self.slot)
        if stored is not None and stored.epoch != self._epoch:
            raise EpochMismatch(self.name, stored=stored.epoch, found=self._epoch)
        with psycopg.connect(
            self._dsn, autocommit=True, row_factory=dict_row, fallback_application_name="headwater"
        ) as catalogue:
            slot = self._wait_for_slot(catalogue, stored)
            confirmed = self._check_slot(slot, stored, system)
            self._check_publications(catalogue)
            keys = KeyHistory(self._dsn, catalogue)
        lsn = stored.lsn if stored is not None else confirmed
        connection.start(self.slot, lsn, self._publications)
        self._decoder = Decoder(
            self.name, keys, xid_reference=keys.next_xid, publications=frozenset(self._publications)
        )
        return lsn

    def _check_publications(self, catalogue: psycopg.Connection[dict[str, Any]]) -> None:
        """PostgreSQL 18 streams nothing of a publication that is absent, without an error."""
        present = {row["pubname"] for row in catalogue.execute("select pubname from pg_catalog.pg_publication")}
        for name in self._publications:
            if name not in present:
                raise PublicationMismatch(name, missing=(), extra=(), exists=False)

    def _check_slot(self, slot: dict[str, Any], stored: Position | None, system: System) -> int:
        """The slot's confirmed position, once it is certain that it can deliver all that follows ``stored``."""
        now = format_lsn(system.flushed_lsn)
        if slot["wal_status"] == "lost":
            since = format_lsn(stored.lsn) if stored else slot["confirmed_flush_lsn"] or "0/0"
            reason = "the server has invalidated the slot and removed the WAL it needs (see max_slot_wal_keep_size)"
            raise SlotGap(self.name, self.slot, gap_from=since, gap_to=now, reason=reason)
        confirmed = parse_lsn(slot["confirmed_flush_lsn"])
        if stored is not None and confirmed > stored.lsn:
            reason = "the slot was moved past the stored position, or was dropped and made anew"
            raise SlotGap(
                self.name, self.slot, gap_from=format_lsn(stored.lsn), gap_to=format_lsn(confirmed), reason=reason
            )
        if stored is not None and stored.lsn > system.flushed_lsn:
            reason = "the stored position lies beyond the end of the server's WAL, as after restoring an old backup"
            raise SlotGap(self.name, self.slot, gap_from=now, gap_to=format_lsn(stored.lsn), reason=reason)
        return confirmed

    def _wait_for_slot(self, catalogue: psycopg.Connection[dict[str, Any]], stored: Position | None) -> dict[str, Any]:
        deadline = time.monotonic() + self._slot_timeout
        while True:
            slot = catalogue.execute(
                """
                select active_pid, wal_status, confirmed_flush_lsn::text
                from pg_replication_slots
                where slot_name = %s and database = current_database() and plugin = 'pgoutput'
                """,
                [self.slot],
            ).fetchone()
            if slot is None:
                raise SlotMissing(self.name, self.slot, stored=format_lsn(stored.lsn) if stored else None)
            if slot["active_pid"] is None:
                return slot
            if time.monotonic() >= deadline:
                raise SlotInUse(self.slot, pid=slot["active_pid"], waited=self._slot_timeout)
            time.sleep(0.05)
