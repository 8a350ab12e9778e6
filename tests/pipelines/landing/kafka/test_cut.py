"""Half a transaction has landed: the mirror shows it, and the cut does not."""

from __future__ import annotations

from contextlib import closing

from tests.pipelines.landing.kafka.stage import MARKS, KafkaStage

LIVING = "select id, name from raw_shop.item where not _deleted order by id"
AT_CUT = "select id, name from ops.at_cut(null::raw_shop.item) order by id"


def test_a_batch_of_one_change_is_told_from_a_piece_of_a_read(kafka: KafkaStage) -> None:
    """Whoever counts what lands leaves reads out (the Stream page)."""
    kafka.commit("insert into shop.item (id, name) values (1, 'read')")
    kafka.land("one")
    kafka.caught_up()
    kafka.commit("update shop.item set name = 'changed' where id = 1")
    alone = "select count(*) from log.change_log where op = 'u'"
    kafka.wait_for(lambda: kafka.target.run(alone) == [(1,)], "the change, before any other")
    batches = (
        "select c.op, b.changes, b.from_lsn < b.to_lsn, b.to_lsn >= c.lsn, b.from_lsn < c.lsn from log.batch b"
        " join log.change_log c using (batch_id) where c.after ->> 'id' = '1' order by batch_id"
    )
    read, changed = kafka.target.run(batches)
    assert (read[0], read[2]) == ("r", False)
    assert (changed[0], *changed[2:]) == ("u", True, True, True)


def test_half_a_transaction_is_in_the_mirror_and_not_in_the_cut(kafka: KafkaStage) -> None:
    kafka.commit(f"insert into shop.item (id, name) select n, 'before' from generate_series(1, {2 * MARKS}) n")
    kafka.land("one", "two")
    kafka.position_passes(kafka.caught_up())
    kafka.wait_for(lambda: len(set(kafka.owners().values())) == 2, "both workers to have a partition")
    ((messages,),) = kafka.target.run("select owner from log.kafka_partition where topic like '%.messages'")
    held = next(number for number, owner in kafka.owners().items() if owner != messages)
    kafka.position_passes(kafka.commit("update shop.item set name = 'settled' where id = 1"))
    settled = kafka.target.run(LIVING)
    assert kafka.target.run(AT_CUT) == settled

    with closing(kafka.target.connect()) as holder, holder.transaction():
        # Its worker waits here before it stores anything.
        holder.execute(
            "select from log.kafka_partition where topic like '%%.changes' and partition = %s for update", [held]
        )
        position = kafka.commit(
            f"update shop.item set name = 'after' where id <= {MARKS}",
            f"delete from shop.item where id between {MARKS} + 1 and {2 * MARKS}",
            f"insert into shop.item (id, name) select -n, 'after' from generate_series(1, {MARKS}) n",
        )
        changed = "select count(*) from raw_shop.item where name = 'after' and not _deleted"
        kafka.wait_for(lambda: kafka.target.run(changed) != [(0,)], "half of the transaction")
        assert kafka.target.run(changed)[0][0] < 2 * MARKS
        assert kafka.target.run(AT_CUT) == settled
        ((whole,),) = kafka.target.run("select (ops.watermark() -> source ->> 'whole')::bool from log.position")
        assert whole is False

    kafka.position_passes(position)
    wanted = kafka.database.run("select id, name from shop.item order by id")
    assert kafka.target.run(LIVING) == wanted
    assert kafka.target.run(AT_CUT) == wanted


def test_readers_of_a_quiet_source_are_told_that_it_is_quiet(kafka: KafkaStage) -> None:
    kafka.land("one")
    kafka.position_passes(kafka.caught_up())
    # The marks that stand for the last change have come long before.
    query = "select updated_at > %s::timestamptz + interval '8 s' from log.position"
    ((shown,),) = kafka.target.run("select clock_timestamp()")
    kafka.wait_for(lambda: kafka.target.run(query, parameters=[shown]) == [(True,)], "a mark of its own")
