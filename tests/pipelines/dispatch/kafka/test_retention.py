"""That Kafka has an event is no delivery: an outbox row stays until its event is known to be dispatched."""

from __future__ import annotations

import uuid
from datetime import timedelta

from cdc.connectors import outbox_topic
from cdc.slots import drop_slot
from cdc.topics import ends
from pipelines.dispatch.retention import Purged, Service, purge
from pipelines.dispatch.store import connect
from tests.kafka.plant import Plant
from tests.pipelines.dispatch.kafka.stage import CONSUMERS, DEADLINE, DispatchStage

AGE = "update shop.outbox set occurred_at = now() - interval '15 days' where id = '{}'"


def run_purge(kafka: DispatchStage) -> Purged:
    service = Service("shop", kafka.name, kafka.shop.database.dsn)
    with connect(kafka.stream.dsn("hw_dispatch")) as stream:
        (purged,) = purge([service], stream, retention=timedelta(days=14), timeout=DEADLINE)
    return purged


def test_old_rows_go_once_they_are_dispatched(kafka: DispatchStage, plant: Plant) -> None:
    drop_slot(kafka.shop.database.dsn, kafka.shop.source.slot)  # nobody lands here
    kafka.shop.database.run("create table shop.inbox (consumer text, event_id uuid, applied_at timestamptz)")
    kafka.subscribe(*CONSUMERS)
    kafka.dispatch("one")
    account = uuid.uuid4()
    old, recent = kafka.emit(account, 1), kafka.emit(account, 2)
    kafka.caught_up()
    kafka.stop("one")
    undelivered = kafka.emit(account, 3)
    topic = outbox_topic(kafka.name)
    kafka.wait_for(
        lambda: sum(ends(kafka.name, plant.bootstrap, [(topic, 0), (topic, 1)]).values()) == 3, "three events in Kafka"
    )
    for event in (old, undelivered):
        kafka.shop.database.run(AGE.format(event))

    purged = run_purge(kafka)
    assert purged.outbox == 1
    assert f"dispatch of {kafka.name}, which has yet to deliver 1 old events of shop" in str(purged.waiting_for)
    assert kafka.emitted() == {recent, undelivered}

    aged = "update stream.dispatched set occurred_at = now() - interval '15 days' where event_id = %s returning 1"
    assert len(kafka.stream.rows(aged, old)) == 1
    kafka.dispatch("one")
    kafka.caught_up()
    assert run_purge(kafka) == Purged("shop", 1, 0, None)
    assert kafka.emitted() == {recent}
    known = {row["event_id"] for row in kafka.stream.rows("select event_id from stream.dispatched")}
    assert known == {recent, undelivered}
    assert [version for _, _, version, _ in kafka.applied("finance")] == [1, 2, 3]
