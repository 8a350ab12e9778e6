"""A member of a consumer group: it is given partitions, and reads their records from where somebody else keeps.

Where to read from is what the consumer of the records has stored beside its data, never the group's own offsets: the
group only deals the partitions out (docs/decisions/0061).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from cdc.kafka_errors import REFUSALS, OffsetGap, TopicMissing, named

LOG_LEVEL: Final = 2
"""librdkafka's, as syslog counts: its errors come to us as such. At its default it writes 20 lines a second while a
broker is away."""

_ANSWER: Final = 10.0
"""Seconds for a broker to say what topics it has."""

_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]

_ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class KafkaEpoch:
    """What makes an offset meaningful: the cluster's id and each topic's (a topic made anew has another)."""

    cluster_id: str
    topics: Mapping[str, str]


class Group(NamedTuple):
    """Who reads: ``member`` is a name that this process keeps over a restart (static membership), so that it comes back
    to its partitions without a rebalance if it does so within ``session_timeout`` seconds."""

    name: str
    member: str
    session_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class KafkaStream:
    """Where a source's topics are. ``member`` names this process for good, and is nobody else's at the same time;
    ``settings`` are librdkafka's, for security. ``session_timeout``: seconds until a dead member's partitions go to
    others."""

    bootstrap: str
    member: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    session_timeout: float = 30.0


class Start(NamedTuple):
    """Where a partition is to be read from (None: its beginning), and the furthest LSN that was stored of it."""

    offset: int | None = None
    lsn: int = 0


Claim = Callable[[Sequence[Partition]], Mapping[Partition, Start]]
"""Takes partitions over from whoever had them."""


def epoch(source: str, bootstrap: str, topics: Sequence[str], settings: Mapping[str, Any]) -> KafkaEpoch:
    """Raises KafkaUnavailable, KafkaRefused or TopicMissing."""
    problems: deque[KafkaError] = deque(maxlen=50)
    admin = _admin(bootstrap, problems, settings)
    try:
        admin.poll(0)
        cluster = admin.describe_cluster(request_timeout=_ANSWER).result(timeout=_ANSWER + 1)
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=_ANSWER)
        found, absent = {}, []
        for topic, answer in described.items():
            try:
                found[topic] = str(answer.result(timeout=_ANSWER + 1).topic_id)
            except KafkaException as error:
                if error.args[0].code() not in _ABSENT:
                    raise
                absent.append(topic)
    except (KafkaException, TimeoutError) as error:
        admin.poll(0)
        raise named(source, bootstrap, problems, error) from error
    if absent:
        raise TopicMissing(source, absent)
    return KafkaEpoch(cluster.cluster_id, found)


def _admin(bootstrap: str, problems: deque[KafkaError], settings: Mapping[str, Any]) -> AdminClient:
    config = {"bootstrap.servers": bootstrap, "log_level": LOG_LEVEL, "error_cb": problems.append, **settings}
    return AdminClient(config)


def require_available(
    source: str, bootstrap: str, offsets: Mapping[Partition, int], settings: Mapping[str, Any]
) -> None:
    """Raises OffsetGap if what follows one of the offsets is not all there, KafkaUnavailable or KafkaRefused."""
    problems: deque[KafkaError] = deque(maxlen=50)
    config = {"bootstrap.servers": bootstrap, "log_level": LOG_LEVEL, "error_cb": problems.append, **settings}
    consumer = Consumer({**config, "group.id": "headwater-repair", "enable.auto.commit": False})
    try:
        for partition, offset in offsets.items():
            place = TopicPartition(partition.topic, partition.number)
            low, high = consumer.get_watermark_offsets(place, timeout=_ANSWER)
            if not low <= offset <= high:
                raise OffsetGap(source, partition.topic, partition.number, stored=offset, low=low, high=high)
    except KafkaException as error:
        raise named(source, bootstrap, problems, error) from error
    finally:
        consumer.close()


def _partition_of(message: Message) -> Partition:
    topic, number = message.topic(), message.partition()
    assert topic is not None
    assert number is not None
    return Partition(topic, number)


class Read(NamedTuple):
    """``records`` in the order of their partitions; ``ends``: where a partition has nothing more for now."""

    records: list[tuple[Partition, Message]]
    ends: dict[Partition, int]


class Member:
    """Reads ``topics`` for the source ``name``, as far as this member of ``group`` is given their partitions.

    ``claim`` is asked whenever partitions come, and ``release`` told when they go, or are lost (``True``): both from
    within ``read``. What was read of a lost partition must not be stored. ``settings`` are librdkafka's, for security.
    Not for use by several threads at once.
    """

    def __init__(
        self,
        name: str,
        bootstrap: str,
        topics: Sequence[str],
        group: Group,
        *,
        claim: Claim,
        release: Callable[[Sequence[Partition], bool], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._bootstrap = bootstrap
        self._topics = list(topics)
        self._group = group
        self._claim = claim
        self._release = release
        self._settings = dict(settings or {})
        self._problems: deque[KafkaError] = deque(maxlen=50)
        self._joined: Consumer | None = None
        self._asking: AdminClient | None = None
        self._failure: BaseException | None = None
        self._partitions: set[Partition] = set()

    @property
    def partitions(self) -> frozenset[Partition]:
        """What this member reads at this moment."""
        return frozenset(self._partitions)

    def start(self) -> KafkaEpoch:
        """Joins the group; partitions come with the first reads.

        Raises KafkaUnavailable, KafkaRefused or TopicMissing.
        """
        self.close()
        found = epoch(self.name, self._bootstrap, self._topics, self._settings)
        self._problems.clear()
        self._joined = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": self._group.name,
                "group.instance.id": self._group.member,
                "session.timeout.ms": int(self._group.session_timeout * 1000),
                "heartbeat.interval.ms": max(500, int(self._group.session_timeout * 1000 / 10)),
                # Never cooperative: a member that dies between two of its rounds comes back to what it kept, and what
                # it gave up is nobody's from then on (docs/decisions/0072).
                "partition.assignment.strategy": "roundrobin",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                # An offset that is not there is a gap, and never a reason to read from somewhere else.
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100,
                # The end of a partition may lie behind marks of Kafka's transactions, which are no records.
                "enable.partition.eof": True,
                "log_level": LOG_LEVEL,
                "error_cb": self._problems.append,
                **self._settings,
            }
        )
        self._joined.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        return found

    def read(self, max_records: int, timeout: float) -> Read:
        """What has arrived, up to ``max_records``; nothing after ``timeout`` seconds without anything.

        Raises KafkaUnavailable, KafkaRefused, TopicMissing or OffsetGap, and what ``claim`` raises: ``start`` again.
        """
        consumer = self._consumer
        got = consumer.consume(1, timeout)
        if got:
            got += consumer.consume(max_records - 1, 0.0)
        self._raise_failure()
        read = Read([], {})
        furthest: dict[Partition, int] = {}
        for message in got:
            if (error := message.error()) is None:
                partition, offset = _partition_of(message), message.offset() or 0
                # Otherwise it was taken away while these were on their way, or given back, and they came again.
                if partition in self._partitions and offset > furthest.get(partition, -1):
                    furthest[partition] = offset
                    read.records.append((partition, message))
            elif error.code() == KafkaError._PARTITION_EOF:
                read.ends[_partition_of(message)] = message.offset() or 0
            else:
                self._raise(message, error)
        if got:
            self._problems.clear()
        elif any(problem.code() in REFUSALS | {KafkaError._ALL_BROKERS_DOWN} for problem in self._problems):
            raise named(self.name, self._bootstrap, list(self._problems), KafkaException(self._problems[-1]))
        return read

    def ends(self) -> dict[Partition, int]:
        """Where each partition of the topics ends at this moment, whoever reads it. Raises KafkaUnavailable.

        Over a connection of its own: a broker answers one request of a connection after the other, and the consumer's
        wait for records. Asking there for five partitions stopped a quiet source for 0.5 s.
        """
        if self._asking is None:
            self._asking = _admin(self._bootstrap, self._problems, self._settings)
        try:
            places = [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in self._asking.list_topics(topic, timeout=_ANSWER).topics[topic].partitions
            ]
            asked = self._asking.list_offsets(
                dict.fromkeys(places, _LATEST),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_ANSWER,
            )
            return {
                Partition(place.topic, place.partition): answer.result(timeout=_ANSWER + 1).offset
                for place, answer in asked.items()
            }
        except (KafkaException, TimeoutError) as error:
            raise named(self.name, self._bootstrap, self._problems, error) from error

    def seek(self, partition: Partition, offset: int | None) -> None:
        """Reads one of its partitions on from there. Raises OffsetGap or KafkaUnavailable."""
        try:
            self._consumer.seek(self._place(self._consumer, partition, offset))
        except KafkaException as error:
            raise named(self.name, self._bootstrap, self._problems, error) from error

    def pause(self, partition: Partition) -> None:
        """Reads no more of it until ``resume``."""
        self._consumer.pause([TopicPartition(partition.topic, partition.number)])

    def resume(self, partition: Partition) -> None:
        self._consumer.resume([TopicPartition(partition.topic, partition.number)])

    def close(self) -> None:
        """Leaves; a member that comes back in time finds its partitions as they were."""
        if self._joined is not None:
            self._joined.close()
            self._joined = None
        self._asking = None
        self._partitions.clear()
        self._failure = None

    @property
    def _consumer(self) -> Consumer:
        if self._joined is None:
            raise RuntimeError(f"source {self.name} is not started")
        return self._joined

    # librdkafka calls these within ``consume``, and drops what they raise.

    def _assigned(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        partitions = [Partition(p.topic, p.partition) for p in assigned]
        try:
            starts = self._claim(partitions)
            places = [self._place(consumer, partition, starts[partition].offset) for partition in partitions]
        except BaseException as failure:
            self._failure = failure
            consumer.assign([])
            return
        self._partitions.update(partitions)
        consumer.assign(places)
        # One that was paused when it went is still so when it comes back.
        consumer.resume(places)

    def _place(self, consumer: Consumer, partition: Partition, offset: int | None) -> TopicPartition:
        """Raises OffsetGap if what follows ``offset`` is not all there."""
        if offset is None:
            return TopicPartition(partition.topic, partition.number, OFFSET_BEGINNING)
        low, high = consumer.get_watermark_offsets(TopicPartition(partition.topic, partition.number), timeout=_ANSWER)
        if not low <= offset <= high:
            raise OffsetGap(self.name, partition.topic, partition.number, stored=offset, low=low, high=high)
        return TopicPartition(partition.topic, partition.number, offset)

    def _revoked(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._forget(consumer, revoked, lost=False)

    def _lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._forget(consumer, lost, lost=True)

    def _forget(self, consumer: Consumer, gone: list[TopicPartition], *, lost: bool) -> None:
        partitions = [Partition(p.topic, p.partition) for p in gone]
        self._partitions.difference_update(partitions)
        try:
            self._release(partitions, lost)
        except BaseException as failure:
            self._failure = failure
        consumer.unassign()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            if isinstance(failure, KafkaException):
                raise named(self.name, self._bootstrap, self._problems, failure) from failure
            raise failure

    def _raise(self, message: Message, error: KafkaError) -> None:
        topic, number = message.topic() or "", message.partition() or 0
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER)
            raise OffsetGap(self.name, topic, number, stored=message.offset() or 0, low=low, high=high)
        if error.code() in _ABSENT:
            raise TopicMissing(self.name, [topic])
        if error.code() in REFUSALS or error.fatal() or not error.retriable():
            raise named(self.name, self._bootstrap, [*self._problems, error], KafkaException(error))
