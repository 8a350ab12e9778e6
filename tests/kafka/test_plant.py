"""The ground that every other test of Kafka stands on: processes come up, die and come back by name."""

from __future__ import annotations

import uuid

import httpx
from confluent_kafka import Consumer, Producer

from headwater.kafka.broker import accepts
from tests.kafka.plant import Plant
from tests.stack import eventually


def test_both_workers_know_debezium_and_the_avro_converter(plant: Plant) -> None:
    found = httpx.get(f"{plant.connect_url}/connector-plugins", params={"connectorsOnly": "false"}, timeout=20).json()
    versions = {plugin["class"].rsplit(".", 1)[1]: plugin.get("version") for plugin in found}
    assert versions["PostgresConnector"] == "3.7.0.Final"
    assert {"JsonConverter", "AvroConverter", "EventRouter", "RegexRouter"} <= versions.keys()


def test_a_killed_broker_comes_back_with_what_it_had(plant: Plant) -> None:
    topic = f"kept-{uuid.uuid4().hex[:8]}"
    plant.create_topics(**{topic: 2})
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
    producer.produce(topic, b"value", b"key", partition=1)
    assert producer.flush(20) == 0
    plant.kill("broker")
    assert not accepts(plant.broker.port)
    plant.start("broker")
    assert plant.topics[topic] == 2
    unpacked = [path.name for path in plant.broker.directory.rglob("liblz4*.so")]
    assert len(unpacked) <= 1, "what the killed one had unpacked is gone"
    consumer = Consumer(
        {
            "bootstrap.servers": plant.bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    consumer.subscribe([topic])
    try:
        message = eventually(lambda: consumer.poll(1.0), what="the message after the broker's death")
        assert (message.error(), message.key(), message.value(), message.partition()) == (None, b"key", b"value", 1)
    finally:
        consumer.close()


def test_one_worker_answers_while_the_other_is_dead(plant: Plant) -> None:
    plant.kill("connect-1")
    assert plant.connect_url == plant.workers["connect-2"].url
    assert httpx.get(f"{plant.connect_url}/connectors", timeout=20).status_code == 200
    plant.start("connect-1")
    assert plant.alive("connect-1")


def test_what_a_worker_reads_of_secrets_is_in_no_file_of_its_own(plant: Plant) -> None:
    said = plant.secret("test_password", "never-shown")
    assert said.endswith(":test_password}")
    plant.restart("connect-1")  # it writes its properties as it starts
    assert "never-shown" not in plant.workers["connect-1"].properties.read_text()
