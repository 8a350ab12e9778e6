"""The embedded transport: a logical replication slot of PostgreSQL, read as whole transactions in commit order."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cdc.errors import EpochMismatch, PublicationMismatch, SlotGap, SlotInUse, SlotMissing, SourceUnavailable
from cdc.events import Batch, Item, Transaction
from cdc.keys import KeyHistory
from cdc.pgoutput import Decoder
from cdc.positions import Epoch, Position, format_lsn, parse_lsn
from cdc.sources.assembly import RawTransaction, SavepointInDoubt
from cdc.sources.reader import Limits, StreamReader, Taken
from cdc.sources.replication import ReplicationConnection, ReplicationError, System
from cdc.sources.spool import Spool, SpooledItems

log = logging.getLogger(__name__)


class SlotSource:
    """One database's stream through the slot ``slot`` and the publications named.

    ``dsn`` is libpq's connection string of a role with REPLICATION. Large transactions go through ``spool_dir``.
    ``slot_timeout``: seconds that ``start`` waits for another reader (a killed one's, most often) to leave the slot.
    ``known_keys`` (relid → primary key) is given where no event trigger tells the stream of keys (``cdc.keys``).
    ``streaming``: the server sends large transactions while they run; they are given once committed, as any other.
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
        known_keys: Mapping[int, tuple[str, ...]] | None = None,
        streaming: bool = True,
    ) -> None:
        self.name = name
        self.slot = slot
        self._dsn = dsn
        self._publications = tuple(publications)
        self._spool_dir = spool_dir
        self._limits = limits or Limits()
        self._slot_timeout = slot_timeout
        self._known_keys = known_keys
        self._streaming = streaming
        # A transaction that ends here is to be read without streaming; 0: there is none.
        self._in_doubt = 0
        self._given = 0
        self._stored: int | None = None
        self._reader: StreamReader | None = None
        self._decoder: Decoder | None = None
        self._epoch: Epoch | None = None
        self._spools: list[tuple[int, Spool]] = []

    def start(self, stored: Position | None) -> None:
        """Begin after ``stored``, or at the slot's own position if None. May be called again after any error.

        Raises SlotMissing, SlotGap, EpochMismatch, SlotInUse, PublicationMismatch or SourceUnavailable.
        """
        self.close()
        self._in_doubt = 0
        self._stored = None
        self._connect(stored)

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
                taken = self._take(max_changes, max(0.0, deadline - time.monotonic()))
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
        self._stored = position.lsn
        if self._reader is not None:
            self._reader.acknowledge(position.lsn)

    def learn_key(self, relid: int, key: tuple[str, ...]) -> None:
        """The table's rows have this primary key from the next read on."""
        if self._decoder is not None:
            self._decoder.learn_key(relid, key)

    def close(self) -> None:
        """Ends the connections; the slot and what it keeps stay."""
        self._disconnect()
        self._forget_spools(None)

    def _connect(self, after: Position | None) -> None:
        try:
            connection = ReplicationConnection(self._dsn)
            try:
                self._given = self._begin(connection, after)
            except BaseException:
                connection.close()
                raise
        except (psycopg.OperationalError, ReplicationError) as error:
            raise SourceUnavailable(self.name, error) from error
        if self._stored is None:
            self._stored = self._given
        self._reader = StreamReader(
            connection,
            name=self.name,
            stored_lsn=self._stored,
            given_lsn=self._given,
            spool_dir=self._spool_dir,
            limits=self._limits,
        )

    def _disconnect(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _take(self, max_changes: int, timeout: float) -> Taken | None:
        """Reads on without streaming where the reader is in doubt, until that transaction was given."""
        if 0 < self._in_doubt <= self._given:
            self._reconnect(in_doubt=0)
        assert self._reader is not None
        try:
            taken = self._reader.take(max_changes, timeout)
        except SavepointInDoubt as doubt:
            log.info("source %s: %s; it is read again without streaming", self.name, doubt)
            self._reconnect(in_doubt=doubt.end_lsn)
            return None
        if taken is not None:
            self._given = taken.transactions[-1].end_lsn if taken.transactions else taken.idle_lsn
        return taken

    def _reconnect(self, *, in_doubt: int) -> None:
        """Goes on after what was given last, some of which may not be acknowledged yet."""
        self._in_doubt = in_doubt
        self._disconnect()
        self._connect(Position(self.name, self.epoch, self._given))

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
        if raw.spool is None and not raw.streamed:
            return self._decoder.transaction(raw.whole())
        # A streamed transaction describes its tables itself, and not all that it says holds for those after it.
        before = self._decoder.fork()
        begin = self._decoder.begin(raw.begin)
        schema_changes = self._learn(raw)
        if raw.spool is None:
            return before.transaction(raw.whole())
        self._spools.append((raw.end_lsn, raw.spool))
        items = SpooledItems(raw.begin, raw.spool, before, raw.changes + raw.others + schema_changes)
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
        if stored is not None and not self._goes_on(connection, stored, self._epoch):
            raise EpochMismatch(self.name, stored=stored.epoch, found=self._epoch)
        with psycopg.connect(
            self._dsn, autocommit=True, row_factory=dict_row, fallback_application_name="headwater"
        ) as catalogue:
            slot = self._wait_for_slot(catalogue, stored)
            confirmed = self._check_slot(slot, stored, system)
            self._check_publications(catalogue)
            keys = KeyHistory(self._dsn, catalogue, self._known_keys)
        lsn = stored.lsn if stored is not None else confirmed
        connection.start(self.slot, lsn, self._publications, streaming=self._streaming and self._in_doubt == 0)
        self._decoder = Decoder(
            self.name, keys, xid_reference=keys.next_xid, publications=frozenset(self._publications)
        )
        return lsn

    def _goes_on(self, connection: ReplicationConnection, stored: Position, found: Epoch) -> bool:
        """Whether the WAL that is found is the stored position's, or goes on from it: a standby that was promoted has
        another timeline, and everything up to where it left the old one."""
        if stored.epoch == found:
            return True
        if replace(stored.epoch, timeline=found.timeline) != found or stored.epoch.timeline > found.timeline:
            return False
        left = connection.left_at(stored.epoch.timeline, found.timeline)
        if left is None or stored.lsn > left:
            return False
        log.warning(
            "source %s: timeline %d goes on where timeline %d ended, at %s: a standby was promoted",
            self.name,
            found.timeline,
            stored.epoch.timeline,
            format_lsn(left),
        )
        return True

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
