"""A connector that begins again within a transaction numbers its changes anew: rows that share an LSN, as those of one
COPY do, then meet others' numbers. No connector is needed to see what landing makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from cdc.connectors import changes_topic, messages_topic
from cdc.events import ChangeEvent, Column, Item, Message, Relation, Transaction
from cdc.sources.kafka import KafkaBatch
from cdc.sources.kafka_member import KafkaEpoch, Partition
from pipelines.landing.audit import PREFIX
from pipelines.landing.kafka.sink import KafkaSink
from tests.pipelines.landing.stage import Stage

CHANGES, MESSAGES = changes_topic("test"), messages_topic("test")
EPOCH = KafkaEpoch("cluster", {CHANGES: "a", MESSAGES: "b"})
FIRST, SECOND = Partition(CHANGES, 0), Partition(CHANGES, 1)
LSN, XID = 10**12, 10**6
KEYED = Relation(900_001, "shop", "keyed", "f", (Column("id", 23, -1, True), Column("name", 25, -1, False)))
KEYLESS = Relation(900_002, "shop", "keyless", "f", (Column("id", 23, -1, False), Column("name", 25, -1, False)))


@pytest.fixture
def sink(stage: Stage) -> Iterator[KafkaSink]:
    """Everything that is on the source has landed over its slot; partitions of a topic follow."""
    stage.prepare("create schema shop; create table shop.item (id int primary key)", publish=("shop.item",))
    stage.streaming()
    stage.stop()
    with closing(KafkaSink(stage.target.dsn, "test")) as made:
        made.open()
        made.enter(EPOCH)
        made.claim([FIRST, SECOND, Partition(MESSAGES, 0)], EPOCH)
        made.tables()
        yield made


def row(relation: Relation, number: int, seq: int, *, lsn: int = LSN, name: str = "copied") -> ChangeEvent:
    key = (str(number),) if relation.key_indexes else ()
    return ChangeEvent("test", XID, lsn, seq, "c", relation, key, None, [str(number), name])


def land(sink: KafkaSink, partition: Partition, *items: Item, reached: int = 0) -> None:
    """``items`` of one transaction come over ``partition``, which had reached the LSN ``reached``."""
    changes = sum(isinstance(item, ChangeEvent) for item in items)
    batch = KafkaBatch("test", [Transaction("test", XID, 5, 0, 10**15, list(items))], changes=changes)
    batch.offsets = {partition: (sink.stored()[partition].offset or 0) + len(items)}
    batch.lsns = {partition: max(item.lsn for item in items)}
    batch.suspects = {(XID, item.lsn, item.seq) for item in items if item.lsn <= reached}
    sink.store_kafka(batch)


def logged(stage: Stage, table: str) -> Sequence[tuple[str, int]]:
    found: list[tuple[str, int]] = stage.target.run(
        "select after ->> 'id', seq from log.change_log where table_name = %s order by 1, 2", parameters=[table]
    )
    return found


def test_rows_of_one_copy_that_take_each_others_numbers_stand_once_each(stage: Stage, sink: KafkaSink) -> None:
    """The connector dies when it has sent the first row alone, as number 1; the second time they are 0 and 1."""
    land(sink, FIRST, row(KEYED, 1, 1))
    land(sink, FIRST, row(KEYED, 1, 0), reached=LSN)
    land(sink, SECOND, row(KEYED, 2, 1), row(KEYED, 3, 2))
    assert [number for number, _ in logged(stage, "keyed")] == ["1", "2", "3"]
    assert len({seq for _, seq in logged(stage, "keyed")}) == 3
    assert stage.target.run("select id from raw_shop.keyed where not _deleted order by id") == [(1,), (2,), (3,)]


def test_no_row_without_a_key_is_taken_for_another_that_had_its_number(stage: Stage, sink: KafkaSink) -> None:
    land(sink, FIRST, row(KEYLESS, 1, 1))
    land(sink, FIRST, row(KEYLESS, 1, 0), row(KEYLESS, 2, 1), reached=LSN)
    assert {number for number, _ in logged(stage, "keyless")} == {"1", "2"}


def test_rows_without_a_key_that_come_again_under_their_number_stand_once(stage: Stage, sink: KafkaSink) -> None:
    twins = [row(KEYLESS, 1, 0), row(KEYLESS, 1, 1), row(KEYLESS, 2, 2)]
    land(sink, FIRST, *twins)
    land(sink, FIRST, *(row(KEYLESS, int(str((t.after or [""])[0])), t.seq) for t in twins), reached=LSN)
    assert logged(stage, "keyless") == [("1", 0), ("1", 1), ("2", 2)]


def test_a_row_without_a_key_that_comes_again_by_another_partition_stands_once(stage: Stage, sink: KafkaSink) -> None:
    """Without a key nothing says to which partition it goes, and that one may never have come so far."""
    land(sink, FIRST, row(KEYLESS, 1, 0), row(KEYLESS, 2, 1))
    land(sink, SECOND, row(KEYLESS, 1, 0), row(KEYLESS, 2, 1), row(KEYLESS, 3, 2))
    assert logged(stage, "keyless") == [("1", 0), ("2", 1), ("3", 2)]


def test_a_change_that_comes_late_with_another_number_is_its_own_commands(stage: Stage, sink: KafkaSink) -> None:
    """Two commands in one transaction; the second time numbering begins within the second one."""
    said = [
        Message("test", XID, LSN + at, seq, PREFIX, b'{"command": "%s"}' % command, True)
        for at, seq, command in ((0, 0, b"first"), (20, 3, b"second"))
    ]
    land(sink, Partition(MESSAGES, 0), *said)
    land(sink, FIRST, row(KEYED, 1, 1, lsn=LSN + 10))
    land(sink, SECOND, row(KEYED, 2, 0, lsn=LSN + 30))
    assert stage.target.run(
        "select change.after ->> 'id', said.command from log.change_log as change"
        " left join lateral ops.said(change.source, change.epoch, change.xid, change.lsn) as said on true"
        " where change.table_name = 'keyed' order by 1"
    ) == [("1", "first"), ("2", "second")]
