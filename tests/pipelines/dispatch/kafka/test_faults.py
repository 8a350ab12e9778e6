"""Whatever dies, and however often an event is sent: every inbox has it once, in its aggregate's order.

Broker and Connect workers are killed in ``tests/kafka/test_storm.py``.
"""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from cdc.connectors import outbox_topic
from cdc.topics import ends
from headwater.embedded.postgres import OLTP, Cluster, free_port
from pipelines.dispatch.kafka.worker import FAILPOINTS
from tests.kafka.plant import Plant
from tests.pipelines.dispatch.kafka.stage import CONSUMERS, DEADLINE, DispatchStage
from tests.stack import eventually


def test_dispatch_killed_at_every_point_under_load(kafka: DispatchStage) -> None:
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one", "two")
    with kafka.load():
        for worker in ("one", "two"):
            for point in FAILPOINTS:
                kafka.kill(worker)
                kafka.dispatch(worker, failpoint=f"{point}:3")
                kafka.died(worker)
                kafka.dispatch(worker)
    kafka.caught_up()
    kafka.assert_once_in_order()


def test_a_second_worker_takes_its_share_and_gives_it_back(kafka: DispatchStage) -> None:
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    kafka.wait_for(lambda: len(kafka.owners()) == 2, "both partitions")
    assert len(set(kafka.owners().values())) == 1
    with kafka.load():
        kafka.dispatch("two")
        kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "two owners")
        kafka.caught_up()
        kafka.kill("two")
        kafka.caught_up()
    kafka.caught_up()
    kafka.assert_once_in_order()


def test_events_sent_again_make_no_delivery(kafka: DispatchStage, plant: Plant) -> None:
    """They were applied and their deliveries are gone: dispatch knows them by their id."""
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    account = uuid.uuid4()
    for version in range(1, 21):
        kafka.emit(account, version)
    kafka.caught_up()
    for consumer in CONSUMERS:
        kafka.stop(consumer)
    kafka.wait_for(lambda: kafka.pending() == {"finance": 0, "orders": 0}, "no delivery")
    send_again(plant, outbox_topic(kafka.name), 20)
    kafka.emit(account, 21)
    kafka.wait_for(lambda: kafka.pending() != {"finance": 0, "orders": 0}, "the last event")
    assert kafka.pending() == {"finance": 1, "orders": 1}
    kafka.subscribe(*CONSUMERS)
    kafka.caught_up()
    kafka.assert_once_in_order()


def send_again(plant: Plant, topic: str, at_least: int) -> None:
    """Appends the topic's records, ``at_least`` so many, to their partitions once more, as a restarted connector
    would."""
    settings = {"bootstrap.servers": plant.bootstrap, "log_level": 2}
    consumer = Consumer({**settings, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(plant.topics[topic])])
    found: list[Message] = []

    def enough() -> bool:
        found.extend(message for message in consumer.consume(1000, 1.0) if message.error() is None)
        return len(found) >= at_least

    eventually(enough, DEADLINE, f"{at_least} records of {topic}")
    consumer.close()
    producer = Producer({**settings, "acks": "all"})
    for message in found:
        producer.produce(
            topic, message.value(), message.key(), partition=message.partition(), headers=message.headers()
        )
    assert producer.flush(60) == 0


def test_a_record_that_is_no_event_is_kept_whole_and_the_rest_goes_on(kafka: DispatchStage, plant: Plant) -> None:
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    account = uuid.uuid4()
    kafka.emit(account, 1)
    kafka.caught_up()
    topic = outbox_topic(kafka.name)
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
    whole = {"producer": b"shop", "id": str(uuid.uuid4()).encode(), "type": b"ACCOUNT_UPDATED", "schema_version": b"1"}
    whole |= {"aggregate_type": b"account", "occurred_at": b"2026-01-02T03:04:05Z"}
    for number in range(2):
        producer.produce(topic, b"\xff\x00", b"key", partition=number, headers={"producer": b"shop"})
        producer.produce(topic, None, None, partition=number)
        producer.produce(topic, b"{}", str(account).encode(), partition=number, headers={**whole, "id": b"no uuid"})
        versioned = {**whole, "aggregate_version": b"1"}
        producer.produce(topic, b"{not json", str(account).encode(), partition=number, headers=versioned)
    assert producer.flush(60) == 0
    for version in (2, 3):
        kafka.emit(account, version)
    kafka.caught_up()
    # The account's events are in one partition; what is in the other comes when it comes.
    kafka.wait_for(
        lambda: kafka.read_to(topic) == ends(kafka.name, plant.bootstrap, [(topic, 0), (topic, 1)]), "the rest"
    )
    kafka.assert_once_in_order()
    parked = kafka.stream.rows("select key, value, header_names, header_values, error from stream.kafka_parked")
    assert [(row["key"], row["value"], row["header_names"], row["header_values"]) for row in parked].count(
        (b"key", b"\xff\x00", ["producer"], [b"shop"])
    ) == 2
    assert len(parked) == 4
    assert {row["error"] for row in parked} == {
        "value is no UTF-8 text: invalid start byte at byte 0",
        "no header says which service wrote it (producer)",
    }
    malformed = kafka.stream.rows("select outbox_id, error from stream.malformed")
    assert {row["outbox_id"]: row["error"] for row in malformed} == {
        "no uuid": "no value for aggregate_version",
        whole["id"].decode(): "invalid input syntax for type json",
    }


def test_a_service_that_is_down_keeps_its_lag_to_itself(kafka: DispatchStage, oltp: Cluster) -> None:
    """Its process and its database cluster are killed; the other service goes on, and both end with everything."""
    root = oltp.root.parent / f"subscriber-{kafka.name}"
    cluster = Cluster("subscriber", root, free_port(), "postgres", OLTP | {"fsync": "off"})
    cluster.init()
    server = cluster.start()
    try:
        kafka.keep_inbox_in("orders", cluster.dsn())
        kafka.subscribe(*CONSUMERS)
        kafka.dispatch("one")
        with kafka.load() as load:
            kafka.caught_up()
            server.kill()
            server.wait()
            kafka.kill("orders")
            before = load.count
            kafka.wait_for(lambda: load.count > before + 300, "three hundred more events")
        kafka.caught_up("finance")
        kafka.wait_for(lambda: kafka.pending()["finance"] == 0, "no delivery for finance")
        ((orders),) = kafka.stream.rows("select * from stream.status where consumer = 'orders'")
        assert orders["pending"] >= 300
        assert orders["lag_seconds"] > 0
        server = cluster.start()
        kafka.subscribe("orders")
        kafka.caught_up()
        kafka.assert_once_in_order()
    finally:
        kafka.close()
        cluster.stop(immediate=True)
        server.wait()


def test_offsets_of_the_group_do_not_matter(kafka: DispatchStage, plant: Plant) -> None:
    """They are deleted, and set elsewhere: dispatch reads on where it has stored that it is."""
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    account = uuid.uuid4()
    for version in (1, 2, 3):
        kafka.emit(account, version)
    kafka.caught_up()
    kafka.stop("one")
    group = f"hw.dispatch.{kafka.name}"
    kafka.wait_for(lambda: _deleted(plant, group), "the group to be empty and deleted", seconds=DEADLINE)
    kafka.emit(account, 4)
    kafka.dispatch("one")
    kafka.caught_up()
    kafka.assert_once_in_order()
    ((dispatched),) = kafka.stream.rows("select count(*) as events from stream.dispatched")
    assert dispatched["events"] == 4


def _deleted(plant: Plant, group: str) -> bool:
    """A group that has members cannot be deleted, and a static member stays until its session has timed out."""
    admin = plant.admin
    try:
        admin.delete_consumer_groups([group])[group].result(timeout=20)
    except Exception as error:
        if "NON_EMPTY" in str(error):
            return False
        raise
    return True


@pytest.mark.parametrize("made_anew", [True, False], ids=["made anew", "deleted"])
def test_a_topic_that_is_gone_is_named_and_nothing_is_skipped(
    kafka: DispatchStage, plant: Plant, made_anew: bool
) -> None:
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    kafka.emit(uuid.uuid4(), 1)
    kafka.caught_up()
    kafka.stop("one")
    kafka.shop.connect.delete(kafka.shop.outbox().name)
    topic = outbox_topic(kafka.name)
    plant.delete_topics([topic])
    kafka.wait_for(lambda: topic not in plant.topics, "the topic to go")
    if made_anew:
        plant.create_topics(**{topic: 2})
    kafka.dispatch("one")
    problem = kafka.wait_for(lambda: kafka.problem("one"), "dispatch to name it")
    assert topic in problem
    wanted = ("was made anew", f"headwater repair {kafka.name}") if made_anew else ("headwater connectors apply",)
    assert all(words in problem for words in wanted)
