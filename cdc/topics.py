"""Topics: made by name before anything writes to them, and held to the number of partitions they were made with.

``settings`` are librdkafka's, for security.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from cdc.connectors import Topic
from cdc.errors import TopicFailed, TopicMismatch
from cdc.kafka_errors import KafkaRefused, KafkaUnavailable, named

TIMEOUT: Final = 15.0
"""Seconds for the cluster to answer."""

LEADERLESS: Final = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})
"""A partition that was just made, or whose broker just went, has a leader in a moment."""

OPEN: Final[Mapping[str, Any]] = {}
"""Settings for brokers that ask for no login."""


class Asker:
    """One client of the cluster, and what librdkafka says to it between the lines."""

    def __init__(self, source: str, bootstrap: str, settings: Mapping[str, Any]) -> None:
        self._source = source
        self._bootstrap = bootstrap
        self._problems: deque[KafkaError] = deque(maxlen=50)
        self.settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            # librdkafka writes 20 lines a second while a broker is away; what matters comes back as an error.
            "log_level": 2,
            "socket.timeout.ms": int(TIMEOUT * 1000),
            "error_cb": self._problems.append,
            **settings,
        }
        self.admin = AdminClient(self.settings)

    def cluster(self) -> Any:
        """Brokers and topics, as the cluster tells them (confluent_kafka's ``ClusterMetadata``)."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            if not any(_listens(*_address(broker)) for broker in self._bootstrap.split(",")):
                raise KafkaUnavailable(self._source, self._bootstrap, "nothing listens there")
            try:
                return self.admin.list_topics(timeout=1.0)
            except KafkaException as error:
                told = self.named(error)
                if time.monotonic() > deadline or isinstance(told, KafkaRefused):  # the same login is refused again
                    raise told from error

    def partitions(self) -> dict[str, int]:
        """Topic → its number of partitions."""
        return {name: len(topic.partitions) for name, topic in self.cluster().topics.items()}

    def named(self, error: Exception) -> Exception:
        self.admin.poll(0)
        return named(self._source, self._bootstrap, self._problems, error)


@dataclass(frozen=True, slots=True)
class Thin:
    """A partition with fewer copies in sync than it is to have. ``away``: brokers that hold a copy and lag or are
    down; ``wanted``: copies it is to have; ``needed``: copies in sync without which nothing is written."""

    topic: str
    partition: int
    in_sync: tuple[int, ...]
    away: tuple[int, ...]
    wanted: int
    needed: int

    @property
    def writable(self) -> bool:
        return len(self.in_sync) >= self.needed

    def __str__(self) -> str:
        away = f"broker {', '.join(map(str, self.away))} away" if self.away else "it was made with fewer"
        then = "writes go on" if self.writable else f"nothing is written until there are {self.needed}"
        return (
            f"{self.topic}[{self.partition}] has {len(self.in_sync)} of {self.wanted} copies in sync ({away}): {then}"
        )


def missing(source: str, bootstrap: str, topics: Iterable[Topic], settings: Mapping[str, Any] = OPEN) -> list[Topic]:
    """Those that do not exist.

    Raises KafkaUnavailable, KafkaRefused, or TopicMismatch for one with other partitions.
    """
    return _missing(Asker(source, bootstrap, settings).partitions(), topics)


def thin(source: str, bootstrap: str, topics: Iterable[Topic], settings: Mapping[str, Any] = OPEN) -> list[Thin]:
    """Partitions of existing topics with too few copies in sync. Raises KafkaUnavailable or KafkaRefused.

    Brokers are knocked at: where most controllers are down, nobody is left to take a dead broker off the lists.
    """
    cluster = Asker(source, bootstrap, settings).cluster()
    living = {broker.id for broker in cluster.brokers.values() if _listens(broker.host, broker.port)}
    thin = []
    for topic in topics:
        known = cluster.topics.get(topic.name)
        for number, partition in sorted(known.partitions.items()) if known else ():
            in_sync = tuple(sorted(set(partition.isrs) & living))
            away = tuple(sorted(set(partition.replicas) - set(in_sync)))
            wanted = max(topic.replication, len(partition.replicas))
            if len(in_sync) < wanted:
                thin.append(Thin(topic.name, number, in_sync, away, wanted, topic.needed_in_sync))
    return thin


def ensure(source: str, bootstrap: str, topics: Iterable[Topic], settings: Mapping[str, Any] = OPEN) -> list[Topic]:
    """Makes those that do not exist, and returns them once the cluster shows them; the others get their settings anew.

    Raises KafkaUnavailable, KafkaRefused, TopicFailed, or TopicMismatch for one that exists with other partitions: rows
    would move to other partitions than their history is in.
    """
    wanted = list(topics)
    asker = Asker(source, bootstrap, settings)
    absent = _missing(asker.partitions(), wanted)
    _configure(asker, [topic for topic in wanted if topic not in absent])
    if not absent:
        return []
    made = asker.admin.create_topics(
        [NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config)) for topic in absent],
        request_timeout=TIMEOUT,
    )
    for name, result in made.items():
        try:
            result.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another was a moment faster
                raise TopicFailed(name, error.args[0].str()) from error
    deadline = time.monotonic() + TIMEOUT
    while unseen := _missing(asker.partitions(), wanted):
        if time.monotonic() > deadline:
            raise TopicFailed(unseen[0].name, f"it was made, and does not show after {TIMEOUT:.0f} s")
        time.sleep(0.1)
    return absent


def remove(source: str, bootstrap: str, topics: Iterable[Topic], settings: Mapping[str, Any] = OPEN) -> None:
    """Deletes topics with all they hold; returns once the cluster shows none of them. One that is absent is no error.

    Raises KafkaUnavailable, KafkaRefused or TopicFailed.
    """
    names = {topic.name for topic in topics}
    asker = Asker(source, bootstrap, settings)
    present = names & asker.partitions().keys()
    for name, result in asker.admin.delete_topics(sorted(present), request_timeout=TIMEOUT).items() if present else ():
        try:
            result.result()
        except KafkaException as error:
            raise TopicFailed(name, error.args[0].str()) from error
    deadline = time.monotonic() + TIMEOUT
    while left := names & asker.partitions().keys():
        if time.monotonic() > deadline:
            raise TopicFailed(min(left), f"it was deleted, and still shows after {TIMEOUT:.0f} s")
        time.sleep(0.1)


def ends(
    source: str, bootstrap: str, partitions: Sequence[tuple[str, int]], settings: Mapping[str, Any] = OPEN
) -> dict[tuple[str, int], int]:
    """(topic, partition) → the offset of the record that will come next. Raises KafkaUnavailable or KafkaRefused."""
    asker = Asker(source, bootstrap, settings)
    asker.cluster()
    asking = Consumer({**asker.settings, "group.id": "headwater-status"})
    try:
        return {at: _end(asking, TopicPartition(*at)) for at in partitions}
    except KafkaException as error:
        raise asker.named(error) from error
    finally:
        asking.close()


def _end(asking: Consumer, partition: TopicPartition) -> int:
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return int(asking.get_watermark_offsets(partition, timeout=TIMEOUT)[1])
        except KafkaException as error:
            if error.args[0].code() not in LEADERLESS or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _configure(asker: Asker, topics: Sequence[Topic]) -> None:
    changes = [
        ConfigResource(
            ResourceType.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in topic.config.items()
            ],
        )
        for topic in topics
    ]
    for resource, result in asker.admin.incremental_alter_configs(changes).items() if changes else ():
        try:
            result.result(timeout=TIMEOUT)
        except KafkaException as error:
            raise TopicFailed(resource.name, error.args[0].str()) from error


def _address(broker: str) -> tuple[str, int]:
    host, _, port = broker.rpartition(":")
    return host.strip("[]"), int(port)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _missing(found: dict[str, int], topics: Iterable[Topic]) -> list[Topic]:
    absent = []
    for topic in topics:
        if topic.name not in found:
            absent.append(topic)
        elif found[topic.name] != topic.partitions:
            raise TopicMismatch(topic.name, wanted=topic.partitions, found=found[topic.name])
    return absent
