"""Whatever dies, and however often something is delivered: the mirror is the source, and each change is landed once."""

from __future__ import annotations

import re
import time
import uuid

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from cdc.connectors import changes_topic
from cdc.debezium.envelope import EnvelopeDecoder
from cdc.debezium.tables import Tables
from cdc.kafka_errors import KafkaUnavailable, TopicMissing
from cdc.sources.kafka import KafkaSource
from cdc.sources.kafka_member import Group
from tests.kafka.plant import Plant
from tests.pipelines.landing.kafka.stage import DEADLINE, KafkaStage
from tests.stack import eventually

POINTS = (
    "landing.before_position",
    "landing.before_copy",
    "landing.after_copy",
    "landing.after_mirror",
    "landing.before_commit",
    "landing.after_commit",
    "landing.after_acknowledge",
)


def test_workers_killed_at_every_point_under_load(kafka: KafkaStage) -> None:
    kafka.land("one", "two")
    kafka.caught_up()
    with kafka.load():
        for number, point in enumerate(POINTS):
            worker = ("one", "two")[number % 2]
            kafka.kill(worker)
            kafka.land(worker, failpoint=f"{point}:3")
            kafka.died(worker)
            kafka.land(worker)
    kafka.caught_up()
    kafka.assert_equal()


def test_connect_workers_killed_under_load(kafka: KafkaStage, plant: Plant) -> None:
    kafka.land("one", "two")
    kafka.caught_up()
    with kafka.load(truncating=False):
        for worker in ("connect-1", "connect-2"):
            time.sleep(1)
            plant.kill(worker)
            time.sleep(1)
            plant.start(worker)
    kafka.caught_up()
    kafka.assert_equal()


def test_a_broker_killed_under_load(kafka: KafkaStage, plant: Plant) -> None:
    kafka.land("one")
    kafka.caught_up()
    with kafka.load():
        time.sleep(1)
        plant.kill("broker")
        time.sleep(1)
        plant.start("broker")
    kafka.caught_up()
    kafka.assert_equal()


def test_a_second_worker_takes_its_share_and_gives_it_back(kafka: KafkaStage) -> None:
    kafka.land("one")
    kafka.caught_up()
    first = kafka.owners()
    assert len(set(first.values())) == 1
    with kafka.load():
        kafka.land("two")
        kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "two owners")
        kafka.kill("two")
        kafka.caught_up()
    kafka.caught_up()
    kafka.assert_equal()


@pytest.mark.parametrize("counted_from", [0, 7], ids=["the same", "numbered otherwise"])
def test_records_delivered_twice_land_once(kafka: KafkaStage, plant: Plant, counted_from: int) -> None:
    kafka.land("one")
    kafka.caught_up()
    with kafka.load() as load:
        eventually(lambda: load.transactions >= 150, DEADLINE, "four hundred changes")
    kafka.caught_up()
    # But for the marks, of which each wait writes some.
    logged = "select count(*) from log.change_log where (after ->> 'name') is distinct from 'mark'"
    before = kafka.target.run(logged)
    copy_again(plant, changes_topic(kafka.name), 400, counted_from)
    kafka.caught_up()
    assert kafka.target.run(logged) == before
    kafka.assert_equal()


def copy_again(plant: Plant, topic: str, at_least: int, counted_from: int) -> None:
    """Appends the topic's first records, ``at_least`` so many, to their partitions once more, as a restarted connector
    would.

    One that begins within a transaction counts its changes from there: every number is ``counted_from`` more.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": plant.bootstrap,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            "log_level": 2,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(plant.topics[topic])])
    found: list[Message] = []

    def enough() -> bool:
        found.extend(message for message in consumer.consume(1000, 1.0) if message.error() is None)
        return len(found) >= at_least

    eventually(enough, DEADLINE, f"{at_least} records of {topic}")
    consumer.close()
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
    for message in found:
        value = re.sub(
            rb'"total_order":(\d+)', lambda n: b'"total_order":%d' % (int(n[1]) + counted_from), message.value()
        )
        producer.produce(topic, value, message.key(), partition=message.partition())
    assert producer.flush(20) == 0


def test_a_poisoned_record_is_parked_and_the_rest_goes_on(kafka: KafkaStage, plant: Plant) -> None:
    kafka.land("one")
    kafka.caught_up()
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
    topic = changes_topic(kafka.name)
    poison = {b"not json": 0, b'{"schema":{},"payload":{"op":"c","source":{}}}': 1, b"\xff\x00": 0}
    for value, partition in poison.items():
        producer.produce(topic, value, b"key", partition=partition)
    assert producer.flush(20) == 0
    kafka.caught_up()
    parked = kafka.target.run("select value, key, topic, partition, error from log.kafka_parked")
    assert {bytes(value): number for value, _, _, number, _ in parked} == poison
    assert {(bytes(key), of) for _, key, of, _, _ in parked} == {(b"key", topic)}
    assert all(error for *_, error in parked)
    kafka.assert_equal()


def test_a_topic_made_anew_is_named_and_nothing_is_skipped(kafka: KafkaStage, plant: Plant) -> None:
    kafka.land("one")
    kafka.caught_up()
    kafka.stop("one")
    kafka.shop.connect.delete(kafka.shop.changes().name)
    topic = changes_topic(kafka.name)
    plant.delete_topics([topic])
    kafka.wait_for(lambda: topic not in plant.topics, "the topic to go")
    plant.create_topics(**{topic: 2})
    kafka.land("one")
    state = kafka.wait_for(lambda: (found := kafka.state()) and found[0] == "stopped" and found, "landing to stop")
    assert "was made anew" in state[1]
    assert topic in state[1]
    assert f"headwater repair {kafka.name}" in state[1]


def test_a_wrong_address_and_a_missing_topic_are_named(plant: Plant) -> None:
    def source(bootstrap: str, topic: str) -> KafkaSource:
        decoder = EnvelopeDecoder("test", Tables({}), xid_reference=0)
        return KafkaSource(
            "test",
            bootstrap,
            [topic],
            decoder,
            Group(uuid.uuid4().hex, "one"),
            claim=lambda _: {},
            release=lambda _, __: None,
        )

    with pytest.raises(KafkaUnavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1 .*address is wrong"):
        source("127.0.0.1:1", "any").start()
    with pytest.raises(TopicMissing, match=r"no topic hw\.absent\.changes.*headwater connectors apply"):
        source(plant.bootstrap, "hw.absent.changes").start()
