"""Rows beyond Kafka's usual megabyte land; one beyond the limit is named with its table, its size and what to do."""

from __future__ import annotations

from dataclasses import replace

from cdc import oversized
from tests.pipelines.landing.kafka.stage import KafkaStage
from tests.stack import eventually

READER = "select active_pid from pg_replication_slots where database = current_database() and slot_name like '%_all'"


def test_a_row_of_twelve_megabytes_lands_and_so_does_its_update(kafka: KafkaStage) -> None:
    """An update carries both images: 24 MB in one record."""
    kafka.land("one")
    kafka.caught_up()
    kafka.database.run("insert into shop.item (id, name, price) values (1, repeat('0123456789ab', 1000000), 1)")
    kafka.database.run("update shop.item set price = 2 where id = 1")
    kafka.caught_up()
    kafka.assert_equal()
    lengths = "select op, length(after ->> 'name') from log.change_log where after ->> 'id' = '1' order by lsn"
    assert kafka.target.run(lengths) == [("c", 12_000_000), ("u", 12_000_000)]


def test_a_record_over_the_limit_is_named_and_lands_once_the_limit_is_higher(kafka: KafkaStage) -> None:
    kafka.land("one")
    kafka.caught_up()
    shop, definition = kafka.shop, kafka.shop.changes()
    before = kafka.database.run(READER)
    shop.apply(replace(definition, config={**definition.config, "producer.override.max.request.size": "2000000"}))
    eventually(lambda: kafka.database.run(READER) not in (before, [(None,)]), 60, "the task to run with that limit")
    kafka.database.run(
        "insert into shop.visit (id, day, note) values (1, 1, 'small')",
        "insert into shop.item (id, name) values (1, repeat('x', 3000000))",
        "insert into shop.visit (id, day, note) values (2, 2, 'after')",
    )
    failed = eventually(
        lambda: (status := shop.connect.status(definition.name)).failed and status, 120, "a failed task"
    )
    (why,) = failed.causes
    source = shop.source
    eventually(lambda: kafka.database.run(READER) == [(None,)], 60, "the slot to be free")
    told = oversized.explain(why, kafka.database.dsn, source.name, slot=source.slot, publication=source.publication)
    assert told is not None
    assert told.startswith("a change of shop.item at ")
    assert "(3.0 MB in the WAL) makes a record of 3.0 MB, and a record may have 2.0 MB" in told
    assert "Set HEADWATER_KAFKA_MESSAGE_MB to 4 or more" in told
    assert oversized.explain("another", "", "", slot="", publication="") is None
    shop.apply(definition)
    shop.connect.restart(definition.name)
    kafka.caught_up()
    kafka.assert_equal()
    assert kafka.target.run("select count(*) from raw_shop.visit") == [(2,)], "nothing was left out on the way"
