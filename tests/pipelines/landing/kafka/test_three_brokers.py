"""Three brokers, three copies, two needed: one may go under load; of two, writes wait and doctor says for whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from cdc import topics
from cdc.connect import Connect
from cdc.connectors import Cluster, changes_topic
from headwater.doctor.kafka import lacking
from tests.cdc.database import Database
from tests.kafka.shop import Shop
from tests.kafka.trio import Trio, trio
from tests.pipelines.landing.kafka.stage import KafkaStage
from tests.pipelines.landing.stage import WarehouseDatabase
from tests.stack import eventually


@pytest.fixture
def brokers() -> Iterator[Trio]:
    with trio() as started:
        yield started


@pytest.fixture
def kafka(database: Database, brokers: Trio, target: WarehouseDatabase, tmp_path: Path) -> Iterator[KafkaStage]:
    with Connect([worker.url for worker in brokers.workers.values()]) as connect:
        shop = Shop(database, brokers, connect)
        shop.cluster = Cluster(partitions=2, replication=3)
        made = KafkaStage(shop, target, tmp_path)
        made.prepare()
        yield made
        made.close()


def thin(kafka: KafkaStage) -> list[topics.Thin]:
    return topics.thin(kafka.name, kafka.shop.plant.bootstrap, kafka.shop.changes().topics)


def test_one_broker_may_go_and_two_are_waited_for(kafka: KafkaStage, brokers: Trio) -> None:
    topic = changes_topic(kafka.name)
    kafka.land("one")
    kafka.caught_up()
    assert thin(kafka) == []
    made = brokers.admin.list_topics(timeout=10).topics[topic].partitions
    assert {len(partition.replicas) for partition in made.values()} == {3}

    first = brokers.leader(topic, 0)
    with kafka.load(truncating=False) as load:
        eventually(lambda: load.transactions > 50, 60, "some load")
        brokers.kill(first)
        kafka.caught_up()
        number = int(first[-1])
        eventually(lambda: {one.away for one in thin(kafka)} == {(number,)}, 60, "two copies of three everywhere")
        (found,) = lacking(thin(kafka))
        assert f"has 2 of 3 copies in sync (broker {number} away): writes go on" in found.what
        assert found.command == f"start broker {number}"
    kafka.caught_up()
    kafka.assert_equal()

    second = next(name for name in brokers.brokers if name != first)
    brokers.kill(second)
    kafka.database.run("insert into shop.item (id, name) select n, 'load late' from generate_series(900000, 900099) n")
    assert _write(brokers, topic) in (KafkaError._MSG_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS)
    away = ", ".join(sorted((first[-1], second[-1])))
    (found,) = lacking(thin(kafka))
    assert f"has 1 of 3 copies in sync (broker {away} away): nothing is written until there are 2" in found.what
    assert kafka.target.run("select count(*) from raw_shop.item where name = 'load late'") == [(0,)]

    brokers.start(first, second)
    kafka.caught_up()
    kafka.assert_equal()
    assert kafka.target.run("select count(*) from raw_shop.item where name = 'load late'") == [(100,)]
    eventually(lambda: thin(kafka) == [], 90, "every copy in sync")


def _write(brokers: Trio, topic: str) -> int | None:
    """The error of a write that asks for every copy in sync; it is nothing that landing could read."""
    errors: list[KafkaError | None] = []
    settings = {"bootstrap.servers": brokers.bootstrap, "acks": "all", "delivery.timeout.ms": 4000, "log_level": 2}
    producer = Producer(settings)
    producer.produce(topic, None, key=b"{}", on_delivery=lambda error, _: errors.append(error))
    producer.flush(60)
    (error,) = errors
    return error and error.code()
