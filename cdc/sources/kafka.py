"""The Kafka transport: Debezium's topics of one source, read by one member of a group that shares their partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from confluent_kafka import Message

from cdc.debezium.envelope import Decoded, EnvelopeDecoder
from cdc.debezium.errors import UNREADABLE, NewShape, words
from cdc.debezium.tables import Tables
from cdc.events import ChangeEvent, Transaction
from cdc.sources.kafka_member import Claim, Group, KafkaEpoch, Member, Partition, Start


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be decoded."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    error: str


@dataclass(slots=True)
class KafkaBatch:
    """What one read gave: of each transaction what has come by now, in the order of commits as far as it goes.

    A transaction may go on in another batch, or with another reader. Its ``commit_lsn`` is the LSN of the commit before
    its own, its ``end_lsn`` is unknown (0). ``offsets`` are where to read on once all of it is stored, and ``lsns`` how
    far each partition has come. ``suspects``: (xid, lsn, seq) of what does not lie beyond that, and so may have come
    before. ``waiting`` are shapes of rows that hold their partitions up until ``KafkaSource.accept``.
    """

    source: str
    transactions: list[Transaction] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    lsns: dict[Partition, int] = field(default_factory=dict)
    suspects: set[tuple[int, int, int]] = field(default_factory=set)
    changes: int = 0
    poison: list[Poison] = field(default_factory=list)
    waiting: list[NewShape] = field(default_factory=list)


class KafkaSource:
    """Reads ``topics`` of the source ``name``, as far as this member of ``group`` is given their partitions.

    ``claim``, ``release`` and ``settings`` are as of ``Member``. Not for use by several threads at once.
    """

    def __init__(
        self,
        name: str,
        bootstrap: str,
        topics: Sequence[str],
        decoder: EnvelopeDecoder,
        group: Group,
        *,
        claim: Claim,
        release: Callable[[Sequence[Partition], bool], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._decoder = decoder
        self._claim = claim
        self._release = release
        self._member = Member(
            name, bootstrap, topics, group, claim=self._taken, release=self._forget, settings=settings
        )
        self._reached: dict[Partition, int] = {}
        self._held: dict[Partition, deque[Message]] = {}
        self._open: dict[tuple[int, int], Transaction] = {}
        self._next: dict[Partition, int] = {}
        self._accepted = False

    def start(self) -> KafkaEpoch:
        """Joins the group; partitions come with the first reads.

        Raises KafkaUnavailable, KafkaRefused or TopicMissing.
        """
        self.close()
        return self._member.start()

    @property
    def partitions(self) -> frozenset[Partition]:
        """What this member reads at this moment."""
        return self._member.partitions

    def read(self, max_records: int, timeout: float) -> KafkaBatch | None:
        """What has arrived, up to ``max_records``; None after ``timeout`` seconds without anything.

        Raises KafkaUnavailable, KafkaRefused, TopicMissing or OffsetGap, and what ``claim`` raises: ``start`` again.
        """
        batch = KafkaBatch(self.name)
        self._open = {}
        # First, because it may take partitions away: what was held of them is not ours to decode any more.
        got = self._member.read(max_records, 0.0 if self._accepted else timeout)
        self._accepted = False
        for partition in [p for p, held in self._held.items() if held]:
            self._decode_held(partition, batch)
        for partition, message in got.records:
            if partition in self._held:
                self._held[partition].append(message)
            else:
                self._decode(partition, message, batch)
        for partition, offset in got.ends.items():
            self._end(partition, offset, batch)
        if not batch.offsets and not batch.waiting:
            return None
        batch.transactions = sorted(self._open.values(), key=attrgetter("commit_lsn"))
        for transaction in batch.transactions:
            transaction.items = sorted(transaction.items, key=attrgetter("seq"))
        return batch

    def ends(self) -> dict[Partition, int]:
        """Where each partition of the topics ends at this moment, whoever reads it. Raises KafkaUnavailable."""
        return self._member.ends()

    def accept(self, shapes: Iterable[bytes]) -> None:
        """Rows of these shapes are decoded from the next read on."""
        for shape in shapes:
            self._decoder.accept(shape)
        self._accepted = True

    def know(self, tables: Tables) -> None:
        """Takes other descriptions for what is known of the tables."""
        self._decoder.know(tables)

    def rewind(self, starts: Mapping[Partition, Start]) -> None:
        """Reads on from there, as if nothing after it had been read. Raises OffsetGap or KafkaUnavailable."""
        for partition, start in starts.items():
            if partition in self.partitions:
                self._member.seek(partition, start.offset)
                self._reached[partition] = start.lsn
                self._next.pop(partition, None)
                if self._held.pop(partition, None) is not None:
                    self._member.resume(partition)

    def close(self) -> None:
        """Leaves; a member that comes back in time finds its partitions as they were."""
        self._member.close()
        self._reached.clear()
        self._next.clear()
        self._held.clear()

    def _taken(self, partitions: Sequence[Partition]) -> Mapping[Partition, Start]:
        starts = self._claim(partitions)
        self._reached.update({partition: start.lsn for partition, start in starts.items()})
        return starts

    def _forget(self, partitions: Sequence[Partition], lost: bool) -> None:
        for partition in partitions:
            self._reached.pop(partition, None)
            self._next.pop(partition, None)
            self._held.pop(partition, None)
        self._release(partitions, lost)

    def _end(self, partition: Partition, offset: int, batch: KafkaBatch) -> None:
        """The partition ends at ``offset``; what lies between that and its last record is none of ours."""
        if partition in self._reached and partition not in self._held and offset > self._next.get(partition, offset):
            self._next[partition] = batch.offsets[partition] = offset

    def _decode_held(self, partition: Partition, batch: KafkaBatch) -> None:
        waiting = self._held.pop(partition)
        while waiting:
            self._decode(partition, waiting.popleft(), batch)
            if partition in self._held:
                self._held[partition].extend(waiting)
                return
        self._member.resume(partition)

    def _decode(self, partition: Partition, message: Message, batch: KafkaBatch) -> None:
        value, offset = message.value(), message.offset()
        assert offset is not None
        self._next[partition] = offset + 1
        if value is None:  # a tombstone tells compaction, and us nothing
            batch.offsets[partition] = offset + 1
            return
        try:
            decoded = self._decoder.decode(value)
        except NewShape as new:
            batch.waiting.append(new)
            self._held[partition] = deque([message])
            self._member.pause(partition)
            return
        except UNREADABLE as error:
            batch.poison.append(Poison(partition, offset, message.key(), value, words(error)))
            batch.offsets[partition] = offset + 1
            return
        batch.offsets[partition] = offset + 1
        if decoded is not None:
            self._add(partition, decoded, batch)

    def _add(self, partition: Partition, decoded: Decoded, batch: KafkaBatch) -> None:
        item, lsn = decoded.item, decoded.lsn
        place = (decoded.follows, decoded.xid)
        transaction = self._open.get(place)
        if transaction is None:
            transaction = Transaction(self.name, decoded.xid, decoded.follows, 0, decoded.committed_at, [])
            self._open[place] = transaction
        items: Any = transaction.items
        items.append(item)
        if lsn <= self._reached[partition]:
            batch.suspects.add((decoded.xid, lsn, item.seq))
        else:
            batch.lsns[partition] = self._reached[partition] = lsn
        if type(item) is ChangeEvent:
            batch.changes += 1
