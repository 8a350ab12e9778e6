"""Reads parked records again, once whatever made them unreadable is mended, and lands what they hold.

The records after them went on, so theirs come late: the change log gets them with their own place and time, the mirror
where it has nothing newer of the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

from cdc.debezium.envelope import Decoded, EnvelopeDecoder
from cdc.debezium.errors import UNREADABLE, EnvelopeError, NewShape, words
from cdc.events import ChangeEvent, SchemaChange, Transaction
from cdc.sources.kafka import KafkaBatch
from pipelines.landing.kafka.duplicates import number_apart
from pipelines.landing.kafka.guards import GuardedWriter, Guards
from pipelines.landing.kafka.sink import KafkaSink, span
from pipelines.landing.mirrors import Connection
from pipelines.landing.parking import PARKED_KEYS_SQL, Parked
from pipelines.landing.writer import MirrorWriter

_LISTED: Final = """
select source, topic, partition, record_offset, error, parked_at::text
from log.kafka_parked
where source = coalesce(%s, source)
order by parked_at, topic, partition, record_offset
"""
_RECORDS: Final = """
select topic, partition, topic_id, record_offset, value
from log.kafka_parked
where source = %s
order by topic, partition, topic_id, record_offset
for update
"""
_ONE: Final = "where (source, topic, partition, topic_id, record_offset) = (%s, %s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record that could not be read, by its place in Kafka, and why."""

    source: str
    topic: str
    partition: int
    offset: int
    error: str
    since: str


@dataclass(frozen=True, slots=True)
class ReplayedRecords:
    """How many records were read this time, how many changes of theirs were new, and what is still unreadable."""

    read: int
    changes: int
    still_unreadable: list[ParkedRecord]


def list_records(connection: Connection, source: str | None = None) -> list[ParkedRecord]:
    """Every parked record of one source, or of all, oldest first."""
    return [ParkedRecord(*row) for row in connection.execute(_LISTED, [source])]


def replay_records(warehouse_dsn: str, source: str, publications: Iterable[str]) -> ReplayedRecords:
    """Reads the parked records of ``source`` again; landing of it waits meanwhile. What is read is parked no more.

    ``publications``: tables of others are not ours. A schema change stays parked: later ones may be applied by now.
    Raises SinkUnavailable, and SourceTaken while the source is landed from its slot.
    """
    with closing(_LateSink(warehouse_dsn, source, frozenset(publications))) as sink:
        sink.open()
        read, changes = sink.replay()
        return ReplayedRecords(read, changes, list_records(sink.connection, source))


class _LateSink(KafkaSink):
    """The source's sink for what comes late."""

    def __init__(self, dsn: str, source: str, publications: frozenset[str]) -> None:
        super().__init__(dsn, source)
        self._publications = publications

    def replay(self) -> tuple[int, int]:
        """(records read, changes that were new)"""
        with self._available():
            return self._around_refused(self._replay)

    def _writer(self, parked: Parked, *, careful: bool, read: bool) -> MirrorWriter:
        assert self._guards is not None
        return GuardedWriter(self.connection, self.mirrors, parked, self._guards, careful=careful, late=True)

    def _replay(self, careful: bool) -> tuple[int, int]:
        self._make_partitions(datetime.now(UTC).date())
        execute = self.connection.execute
        with self.connection.transaction():
            execute("select from log.position where source = %s for update", [self.source])
            decoder = self._decoder()
            found: list[Decoded] = []
            read = 0
            for *place, value in execute(_RECORDS, [self.source]).fetchall():
                try:
                    decoded = _decode(decoder, value)
                except UNREADABLE as error:
                    execute(
                        f"update log.kafka_parked set error = %s {_ONE}".encode(), [words(error), self.source, *place]
                    )
                    continue
                execute(f"delete from log.kafka_parked {_ONE}".encode(), [self.source, *place])
                read += 1
                if decoded is not None:
                    found.append(decoded)
            return read, self._land(found, careful)

    def _decoder(self) -> EnvelopeDecoder:
        row = self.connection.execute(
            "select coalesce(max(xid), 0) from log.change_log where source = %s", [self.source]
        ).fetchone()
        assert row is not None
        return EnvelopeDecoder(self.source, self.tables(), xid_reference=row[0], publications=self._publications)

    def _land(self, found: list[Decoded], careful: bool) -> int:
        batch = KafkaBatch(self.source)
        whole: dict[tuple[int, int], Transaction] = {}
        for one in found:
            place = (one.follows, one.xid)
            if place not in whole:
                whole[place] = Transaction(self.source, one.xid, one.follows, 0, one.committed_at, [])
            items: Any = whole[place].items
            items.append(one.item)
            batch.suspects.add((one.xid, one.lsn, one.item.seq))
        batch.transactions = sorted(whole.values(), key=attrgetter("commit_lsn"))
        for transaction in batch.transactions:
            transaction.items = sorted(transaction.items, key=attrgetter("seq"))
        self._guards = Guards(self.connection, self.source)
        parked_keys = self.connection.execute(PARKED_KEYS_SQL, [self.source]).fetchall()
        fresh = self._fresh(batch)
        if careful:
            # The first attempt may have met a change with the same number.
            number_apart(self.connection, self.source, self.epoch, fresh)
        changes = sum(1 for t in fresh for item in t.items if type(item) is ChangeEvent)
        parked = Parked(self.connection, self.source, self.epoch, parked_keys)
        self._write(fresh, changes, span(fresh), parked, careful)
        return changes


def _decode(decoder: EnvelopeDecoder, value: bytes) -> Decoded | None:
    try:
        decoded = decoder.decode(value)
    except NewShape as new:
        decoder.accept(new.shape)
        decoded = decoder.decode(value)
    if decoded is not None and type(decoded.item) is SchemaChange:
        relation = f"{decoded.item.schema}.{decoded.item.table}"
        raise EnvelopeError(f"a change of {relation}'s columns that comes too late to be applied: headwater repair")
    return decoded
