"""A topic is gone with events in it that nobody was given: the outboxes still have them, and nothing comes twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

from cdc.connectors import outbox_topic
from cdc.topics import ends
from pipelines.dispatch.kafka.gap import gap
from pipelines.dispatch.kafka.store import forget
from pipelines.dispatch.repair import FAILPOINTS, repair
from pipelines.dispatch.store import connect
from tests.kafka.plant import Plant
from tests.pipelines.dispatch.kafka.stage import CONSUMERS, DispatchStage


def found_gap(kafka: DispatchStage) -> str | None:
    return gap(kafka.name, kafka.kafka, kafka.stream.dsn("hw_dispatch"))


def mend(kafka: DispatchStage, *, failpoint: str = "") -> int:
    """Repairs in a process of its own; its exit code."""
    arguments = [kafka.name, kafka.shop.database.dsn, kafka.stream.dsn("hw_dispatch")]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pipelines.dispatch.repair import repair;"
            "repair(*sys.argv[1:4], slot=sys.argv[4], publication=sys.argv[5])",
            *arguments,
            kafka.shop.source.outbox_slot,
            kafka.shop.source.outbox_publication,
        ],
        env=os.environ | {"HEADWATER_FAILPOINT": failpoint},
        timeout=120,
    )
    return done.returncode


def test_events_that_only_kafka_had_are_delivered_from_the_outbox(kafka: DispatchStage, plant: Plant) -> None:
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    account = uuid.uuid4()
    for version in (1, 2, 3):
        kafka.emit(account, version)
    kafka.caught_up()
    assert found_gap(kafka) is None
    kafka.stop("one")
    topic = outbox_topic(kafka.name)
    for version in (4, 5):
        kafka.emit(account, version)
    kafka.wait_for(
        lambda: sum(ends(kafka.name, plant.bootstrap, [(topic, 0), (topic, 1)]).values()) == 5, "five events in Kafka"
    )
    name, client = kafka.shop.outbox().name, kafka.shop.connect
    client.stop(name)
    kafka.wait_for(lambda: not client.status(name).tasks, "the connector to stop")
    client.delete_offsets(name)
    client.delete(name)
    plant.delete_topics([topic])
    kafka.wait_for(lambda: topic not in plant.topics, "the topic to go")
    assert topic in str(found_gap(kafka))
    plant.create_topics(**{topic: 2})
    assert "was made anew" in str(found_gap(kafka))

    with connect(kafka.stream.dsn("hw_dispatch")) as stream:
        forget(stream, kafka.name)
    for failpoint in FAILPOINTS:
        assert mend(kafka, failpoint=failpoint) == -signal.SIGKILL
        assert "has begun and not ended" in str(found_gap(kafka))
    kafka.dispatch("one")
    kafka.wait_for(lambda: "has begun and not ended" in (kafka.problem("one") or ""), "dispatch to refuse")
    assert mend(kafka) == 0
    kafka.connect()
    kafka.wait_for(lambda: kafka.problem("one") is None, "dispatch to go on")
    kafka.emit(account, 6)
    kafka.caught_up()
    kafka.assert_once_in_order()
    assert found_gap(kafka) is None


def test_a_repair_without_a_gap_doubles_nothing(kafka: DispatchStage) -> None:
    kafka.subscribe("finance")
    kafka.dispatch("one")
    account = uuid.uuid4()
    for version in (1, 2):
        kafka.emit(account, version)
    kafka.caught_up("finance")
    # Applied is not yet done: a delivery that still waits would not be made again.
    kafka.wait_for(lambda: kafka.pending()["finance"] == 0, "no delivery for finance")
    kafka.stop("one")
    name, client = kafka.shop.outbox().name, kafka.shop.connect
    client.stop(name)
    kafka.wait_for(lambda: not client.status(name).tasks, "the connector to stop")
    client.delete_offsets(name)
    source = kafka.shop.source
    again = repair(
        kafka.name,
        kafka.shop.database.dsn,
        kafka.stream.dsn("hw_dispatch"),
        slot=source.outbox_slot,
        publication=source.outbox_publication,
    )
    assert (again.events, again.deliveries) == (2, 2)  # finance's, which its inbox skips; orders has its own waiting
    client.resume(name)
    kafka.dispatch("one")
    kafka.emit(account, 3)
    kafka.subscribe("orders")
    kafka.caught_up()
    kafka.assert_once_in_order()
