"""Members of a group share a topic: a partition has one reader after every change of hands, and that one reads."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing

import pytest
from confluent_kafka import Message, Producer

from cdc.sources.kafka_member import Group, Member, Partition, Start
from tests.kafka.plant import Plant
from tests.stack import eventually

PARTITIONS = 4


class Topic:
    """With members that begin to read where nobody has read before."""

    def __init__(self, plant: Plant) -> None:
        self.name = f"shared-{uuid.uuid4().hex[:8]}"
        self._bootstrap = plant.bootstrap
        self._producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
        self._read: dict[Partition, int] = {}
        self._members = ExitStack()
        plant.create_topics(**{self.name: PARTITIONS})

    def write(self) -> None:
        """A record to every partition."""
        for number in range(PARTITIONS):
            self._producer.produce(self.name, b"value", b"key", partition=number)
        assert self._producer.flush(20) == 0

    def member(self, name: str) -> Member:
        def claim(partitions: Sequence[Partition]) -> Mapping[Partition, Start]:
            return {partition: Start(self._read.get(partition)) for partition in partitions}

        group = Group(self.name, name, session_timeout=6.0)
        made = Member("test", self._bootstrap, [self.name], group, claim=claim, release=lambda _, __: None)
        made.start()
        return self._members.enter_context(closing(made))

    def read(self, member: Member) -> list[Partition]:
        """Whose records have come."""
        records = member.read(100, 0.1).records
        self._read |= {partition: (message.offset() or 0) + 1 for partition, message in records}
        return [partition for partition, _ in records]

    def share(self, *members: Member) -> None:
        """Reads until every partition is somebody's, and each member has one."""

        def shared() -> bool:
            for member in members:
                self.read(member)
            given = [partition for member in members for partition in member.partitions]
            return len(given) == len(set(given)) == PARTITIONS and all(member.partitions for member in members)

        eventually(shared, 60, "the partitions to be shared")

    def close(self) -> None:
        self._members.close()


@pytest.fixture
def topic(plant: Plant) -> Iterator[Topic]:
    made = Topic(plant)
    yield made
    made.close()


def test_a_partition_that_was_paused_is_read_by_whoever_is_given_it(topic: Topic) -> None:
    """Also by the one who had paused it, who does not know of it any more."""
    one = topic.member("one")
    topic.share(one)
    for partition in one.partitions:
        one.pause(partition)
    two = topic.member("two")
    topic.share(one, two)
    topic.write()
    came: list[Partition] = []

    def everything() -> bool:
        came.extend(topic.read(one))
        came.extend(topic.read(two))
        return len(set(came)) == PARTITIONS

    eventually(everything, 30, "a record of every partition")
    assert len(came) == PARTITIONS, "each once"


def test_every_partition_has_a_reader_after_each_change_of_hands(topic: Topic) -> None:
    one = topic.member("one")
    topic.share(one)
    two, three = topic.member("two"), topic.member("three")
    topic.share(one, two, three)
    three.close()  # its place is kept until its session times out
    topic.share(one, two)
    topic.write()
    eventually(lambda: topic.read(one), 30, "a record for one")
    eventually(lambda: topic.read(two), 30, "a record for two")


def test_a_record_that_comes_twice_in_one_read_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after its partition was taken away and given back, within one call of the client's."""
    partition = Partition("shared", 0)
    member = Member("test", "", ["shared"], Group("test", "one"), claim=lambda _: {}, release=lambda _, __: None)

    class Client:
        """What the client library may give, in this order; no timing makes it do so for sure."""

        given = [[7], [8, 7, 8, 9]]

        def consume(self, _most: int, _timeout: float) -> list[Message]:
            return [Message("shared", 0, offset) for offset in self.given.pop(0)]

    monkeypatch.setattr(member, "_joined", Client())
    monkeypatch.setattr(member, "_partitions", {partition})
    assert [message.offset() for _, message in member.read(10, 0.0).records] == [7, 8, 9]
