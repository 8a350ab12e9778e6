"""Two workers share a source's partitions: what they land together is what was written."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from pipelines.landing.kafka.worker import FAILPOINTS
from tests.pipelines.landing.kafka.stage import KafkaStage


def test_two_workers_land_everything_once_while_tables_change(kafka: KafkaStage) -> None:
    kafka.commit("insert into shop.item (id, name) select -n, 'before' from generate_series(1, 500) n")
    kafka.land("one", "two")
    kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "each worker to have a partition")
    with kafka.load() as load:
        kafka.caught_up()
        for statement in (
            "alter table shop.item add column colour text default 'red'",
            "alter table shop.item rename column colour to shade",
            "alter table shop.visit add column weight numeric(8,2)",
            "alter table shop.item alter column price type text using price || ' EUR'",
            "alter table shop.item alter column price type numeric using replace(price, ' EUR', '')::numeric",
            "alter table shop.item drop column shade",
            "alter table shop.item add column shade text",
        ):
            time.sleep(0.3)
            kafka.commit(statement)
        assert load.transactions > 0
    kafka.position_passes(kafka.caught_up())
    kafka.assert_equal()
    kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "each worker still to have a partition")
    ((unattributed,),) = kafka.target.run(
        "select count(*) from log.change_log c where c.op <> 'r' and c.table_name = 'item'"
        " and c.after ->> 'name' = 'load ' || (c.after ->> 'id') and c.op = 'c' and not exists ("
        "   select from log.transactions t where t.source = c.source and t.epoch = c.epoch and t.xid = c.xid"
        "   and t.lsn <= c.lsn and t.command = c.after ->> 'name')"
    )
    assert unattributed == 0


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_worker_that_dies_while_it_hands_partitions_over_leaves_none_behind(
    kafka: KafkaStage, failpoint: str
) -> None:
    """Its place in the group is kept for it, and it comes back to what it was to keep."""
    kafka.land("one", failpoint=failpoint)
    kafka.caught_up()
    kafka.land("two")
    kafka.died("one")
    kafka.land("one")
    kafka.caught_up(seconds=60)
    kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "each worker to have a partition")
    kafka.assert_equal()


def test_readers_are_told_the_moment_up_to_which_every_partition_has_landed(kafka: KafkaStage) -> None:
    """Not that of the partition that is furthest."""
    kafka.land("one")
    kafka.position_passes(kafka.caught_up())
    kafka.target.run("update log.kafka_partition set committed_at = '2099-01-01' where topic like '%.changes'")
    ((before,),) = kafka.database.run("select now()")
    kafka.position_passes(kafka.commit("insert into shop.item (id, name) values (-1, 'one more')"))
    ((told, now),) = kafka.target.run("select committed_at, now() from log.position")
    assert before - timedelta(seconds=1) < told < now


def test_a_truncation_waits_for_rows_that_another_worker_is_storing(kafka: KafkaStage) -> None:
    """Neither sees what the other has not committed."""
    kafka.land("one")
    kafka.commit("insert into shop.visit (id, day, note) values (1, 1, 'before')")
    kafka.caught_up()
    assert any(truncation_met_a_stored_row(kafka, number) for number in range(20)), "no truncation waited"
    kafka.caught_up()
    kafka.assert_equal()


def truncation_met_a_stored_row(kafka: KafkaStage, number: int) -> bool:
    """Whether landing of a truncation waited for somebody who stored an older row; a mark may have come before it."""
    with kafka.target.connect() as another, another.transaction():
        another.execute("select from log.kafka_source where source = %s for share", [kafka.name])
        kafka.commit("truncate shop.visit")
        waits = "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        waiting = kafka.wait_for(lambda: kafka.target.run(waits), "landing to wait")
        another.execute(
            "insert into raw_shop.visit (id, day, note, _lsn, _seq, _deleted, _committed_at)"
            " select %s, 2, 'as old', _lsn, _seq, false, _committed_at from raw_shop.visit where (id, day) = (1, 1)",
            [number],
        )
    return any("for update" in query for (query,) in waiting)
