"""Records that could not be read get another chance, late: the history is whole, and no mirror goes back in time."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from cdc.connectors import changes_topic
from pipelines.landing.kafka.replay import list_records, replay_records
from tests.kafka.plant import Plant
from tests.pipelines.landing.kafka.stage import KafkaStage

VISITS = "select op::text, after ->> 'note' from log.change_log where table_name = 'visit' and op <> 'r' order by lsn"
DESCRIPTION = "from log.source_table where description ->> 'table' = 'visit'"


@pytest.fixture
def parked(kafka: KafkaStage) -> KafkaStage:
    """Landing has lost what it knew of ``shop.visit``, and parked three changes of it; then it knows it again."""
    kafka.land("one")
    kafka.caught_up()
    kafka.stop("one")
    kafka.target.run(f"create table public.kept as select * {DESCRIPTION}", f"delete {DESCRIPTION}")
    kafka.land("one")
    kafka.commit("insert into shop.visit values (1, 1, 'first')")
    kafka.commit("insert into shop.visit values (2, 2, 'stays')")
    kafka.commit("update shop.visit set note = 'second' where id = 1")
    kafka.wait_for(
        lambda: kafka.target.run("select count(*) from log.kafka_parked") == [(3,)], "three records to be parked"
    )
    kafka.stop("one")
    kafka.target.run("insert into log.source_table select * from public.kept")
    kafka.land("one")
    return kafka


def replay(kafka: KafkaStage) -> tuple[int, int, int]:
    done = replay_records(kafka.target.dsn, kafka.name, ["pub_all"])
    return done.read, done.changes, len(done.still_unreadable)


def test_what_is_read_late_is_landed_once_and_behind_what_is_newer(parked: KafkaStage) -> None:
    parked.commit("update shop.visit set note = 'third' where id = 1")
    parked.caught_up()
    with parked.target.connect() as warehouse:
        reasons = {record.error for record in list_records(warehouse, parked.name)}
    assert len(reasons) == 1
    assert "rows of a table that was never described" in reasons.pop()
    assert parked.target.run(VISITS) == [("u", "third")]
    assert replay(parked) == (3, 3, 0)
    assert parked.target.run(VISITS) == [("c", "first"), ("c", "stays"), ("u", "second"), ("u", "third")]
    parked.caught_up()
    parked.assert_equal()
    assert replay(parked) == (0, 0, 0)


def test_a_truncation_since_then_holds(parked: KafkaStage) -> None:
    parked.commit("truncate shop.visit")
    parked.commit("insert into shop.visit values (1, 1, 'after')")
    parked.caught_up()
    assert replay(parked) == (3, 3, 0)
    parked.assert_equal()


def test_what_is_still_unreadable_stays_with_its_reason(kafka: KafkaStage, plant: Plant) -> None:
    kafka.land("one")
    kafka.caught_up()
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all", "log_level": 2})
    producer.produce(changes_topic(kafka.name), b"not json", b"key", partition=0)
    assert producer.flush(60) == 0
    kafka.caught_up()
    assert replay(kafka) == (0, 0, 1)
    ((value, error),) = kafka.target.run("select value, error from log.kafka_parked")
    assert (bytes(value), "no schema beside its payload" in error) == (b"not json", True)
    kafka.assert_equal()
