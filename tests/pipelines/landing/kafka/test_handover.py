"""The slot goes to Debezium and comes back while people write: compared, change by change, with a third reader."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cdc import ddl
from cdc.connect import Connect
from cdc.connectors import Topic
from cdc.events import ChangeEvent
from cdc.positions import format_lsn, parse_lsn
from cdc.slots import create_slot, slot_state
from cdc.sources.slot import SlotSource
from cdc.topics import ends
from pipelines.landing.errors import NotYetLoaded, SourceTaken
from pipelines.landing.kafka.handover import (
    end,
    finish_return,
    handed_over,
    keep_a_copy,
    spare_of,
    take_back,
    unlanded,
)
from tests.cdc.database import Database
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop
from tests.pipelines.landing import process
from tests.pipelines.landing.kafka.stage import DEADLINE, KafkaStage
from tests.pipelines.landing.stage import WarehouseDatabase

SLOT = "slot"
"""The worker that reads the slot."""

Change = tuple[int, int, str, str, str]
"""Transaction, LSN, table, operation, key; a change of key is a deletion and a creation."""


class Moving(KafkaStage):
    """Begins with the slot. ``witness`` is a slot that stays, and tells at the end what there was to land."""

    def prepare(self) -> None:
        self.database.run(
            "create table shop.visit (id int, day int, note text, primary key (id, day))",
            "alter table shop.visit replica identity full",
            "alter publication pub_all add table shop.visit",
        )
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            ddl.install(connection)
        create_slot(self.database.dsn, self.witness)

    @property
    def witness(self) -> str:
        return f"{self.database.name}_witness"

    @property
    def topics(self) -> tuple[Topic, ...]:
        return self.shop.changes().topics

    def land_slot(self, *, failpoint: str = "") -> None:
        given = process.arguments(self.source, self.target.dsn, self.heartbeat(SLOT))
        self._workers[SLOT] = process.spawn(given, failpoint=failpoint, log=self._root / f"{SLOT}.log")

    def connect(self) -> None:
        self.shop.start(self.shop.changes())

    def disconnect(self) -> None:
        """Removes the connector, with what it remembers and what it wrote."""
        name, client = self.shop.changes().name, self.shop.connect
        client.stop(name)
        self.wait_for(lambda: not client.status(name).tasks, "the connector to stop")
        client.delete_offsets(name)
        client.delete(name)

    def ends(self) -> dict[tuple[str, int], int]:
        topics = [topic for topic in self.topics if topic.name.endswith((".changes", ".messages"))]
        places = [(topic.name, number) for topic in topics for number in range(topic.partitions)]
        return ends(self.name, self.shop.plant.bootstrap, places)

    def move_up(self) -> None:
        self.stop(SLOT)
        with handed_over(self.source, self.target.dsn):
            pass
        self.connect()
        self.land("one", "two")

    def move_back(self) -> int:
        keep_a_copy(self.source, self.target.dsn)
        until = end(self.source, self.target.dsn)
        self.wait_for(lambda: unlanded(self.source, self.target.dsn, until, self.ends) is None, "everything before")
        self.stop("one")
        self.stop("two")
        self.disconnect()
        assert take_back(self.source, self.target.dsn) == until
        finish_return(self.source, self.target.dsn)
        self.land_slot()
        return until

    @contextmanager
    def transaction(self, number: int) -> Iterator[psycopg.Connection[Any]]:
        """A command that is open meanwhile, with rows in both tables, and commits at the end of the block."""
        with psycopg.connect(self.database.dsn) as connection:
            message = json.dumps({"command": f"open {number}"})
            connection.execute("select pg_logical_emit_message(true, 'headwater.audit', %s)", [message])
            connection.execute("insert into shop.item (id, name) values (%s, 'open')", [-number])
            yield connection
            connection.execute("update shop.item set name = 'committed' where id = %s", [-number])
            connection.execute("update shop.item set id = %s where id = %s", [-number - 1, -number])

    def landed(self) -> Counter[Change]:
        rows = self.target.run(
            "select xid, lsn::text, table_name, op::text, key, before, after from log.change_log where op <> 'r'"
        )
        return Counter(
            change
            for xid, lsn, table, op, key, before, after in rows
            for change in _split(xid, parse_lsn(lsn), table, op, key, before, after)
        )

    def committed(self) -> Counter[Change]:
        """What the witness saw: everything up to a mark that is written now."""
        mark = self.source.mark()
        found: Counter[Change] = Counter()
        with closing(
            SlotSource(
                self.name,
                self.database.dsn,
                slot=self.witness,
                publications=["pub_all"],
                spool_dir=self._root / "witness",
            )
        ) as witness:
            witness.start(None)
            reached = 0
            deadline = time.monotonic() + DEADLINE
            while reached <= mark:
                assert time.monotonic() < deadline
                batch = witness.read(10_000, 1.0)
                if batch is None:
                    continue
                reached = batch.position.lsn
                for transaction in batch.transactions:
                    for item in transaction.items:
                        if type(item) is ChangeEvent:
                            found.update(_split(*_plain(item)))
        return found

    def attributed(self, command: str) -> set[tuple[str, str | None]]:
        """(operation and new name) of every change that the command is known to have made."""
        rows = self.target.run(
            "select c.op::text, c.after ->> 'name' from log.change_log c"
            " cross join lateral ops.said(c.source, c.epoch, c.xid, c.lsn) said"
            " where said.command = %s",
            parameters=[command],
        )
        return set(rows)


def _plain(event: ChangeEvent) -> tuple[int, int, str, str, Any, Any, Any]:
    relation = event.relation
    names = relation.names
    before, after = (
        None if values is None else dict(zip(names, values, strict=True)) for values in (event.before, event.after)
    )
    key = {names[i]: value for i, value in zip(relation.key_indexes, event.key, strict=True)} if event.key else {}
    return event.xid, event.lsn, relation.table, event.op, key, before, after


def _split(xid: int, lsn: int, table: str, op: str, key: Any, before: Any, after: Any) -> Iterator[Change]:
    former = {name: before[name] for name in key} if op == "u" and before and key.keys() <= before.keys() else key
    if former != key:
        yield xid, lsn, table, "d", json.dumps(former, sort_keys=True)
        yield xid, lsn, table, "c", json.dumps(key, sort_keys=True)
    else:
        yield xid, lsn, table, op, json.dumps(key, sort_keys=True)


@pytest.fixture
def moving(
    database: Database, plant: Plant, connect: Connect, target: WarehouseDatabase, tmp_path: Path
) -> Iterator[Moving]:
    shop = Shop(database, plant, connect)
    made = Moving(shop, target, tmp_path)
    made.prepare()
    yield made
    made.close()
    shop.close()


def test_there_and_back_under_load(moving: Moving) -> None:
    """Transactions are open across both hand-overs, tables change their shape and are emptied around them."""
    moving.land_slot()
    moving.caught_up()
    ((read,),) = moving.target.run("select count(*) from log.change_log where op = 'r'")
    with moving.load() as load:
        with moving.transaction(10):
            moving.commit("alter table shop.visit add column weight numeric(8,2)")
            moving.stop(SLOT)
            with handed_over(moving.source, moving.target.dsn):
                moving.commit("alter table shop.visit add column colour text default 'red'", "truncate shop.visit")
            moving.connect()
            moving.land("one", "two")
        moving.caught_up()
        with moving.transaction(20):
            with moving.transaction(30):
                keep_a_copy(moving.source, moving.target.dsn)
            moving.commit("alter table shop.visit rename column colour to shade")
            until = end(moving.source, moving.target.dsn)
            moving.commit("alter table shop.visit drop column weight", "truncate shop.visit")
            moving.commit("create table shop.later (id int primary key)", "insert into shop.later values (1)")
            moving.wait_for(lambda: unlanded(moving.source, moving.target.dsn, until, moving.ends) is None, "the rest")
        moving.stop("one")
        moving.stop("two")
        moving.disconnect()
        take_back(moving.source, moving.target.dsn)
        finish_return(moving.source, moving.target.dsn)
        moving.land_slot()
        moving.caught_up()
        assert load.transactions > 0
    moving.caught_up()
    moving.assert_equal()
    committed, landed = moving.committed(), moving.landed()
    assert (landed - committed, committed - landed) == (Counter(), Counter())
    assert moving.target.run("select count(*) from log.change_log where op = 'r' and lsn = '0/0'") == [(read,)]
    for number in (10, 20, 30):
        assert {name for _, name in moving.attributed(f"open {number}")} >= {"open", "committed"}, number
    assert slot_state(moving.database.dsn, spare_of(moving.source)) is None
    assert moving.target.run("select * from log.kafka_parked") == []
    assert moving.target.run("select * from log.kafka_source") == []


def test_what_is_open_when_kafkas_time_ends_comes_by_the_slot_alone(moving: Moving) -> None:
    """A boundary drawn at a change's LSN would land half of it over Kafka."""
    moving.land_slot()
    moving.caught_up()
    moving.move_up()
    moving.caught_up()
    with moving.transaction(10):
        keep_a_copy(moving.source, moving.target.dsn)
        until = end(moving.source, moving.target.dsn)
        assert end(moving.source, moving.target.dsn) == until
    ((lsn,),) = moving.database.run("select pg_current_wal_insert_lsn()")
    moving.wait_for(lambda: unlanded(moving.source, moving.target.dsn, until, moving.ends) is None, "everything before")
    assert moving.target.run("select 1 from log.change_log where (key ->> 'id')::int in (-10, -11)") == []
    assert moving.target.run("select 1 from log.position where lsn > %s", parameters=[format_lsn(until)]) == []
    moving.move_back()
    moving.caught_up()
    moving.assert_equal()
    rows = moving.target.run(
        "select op::text from log.change_log where (key ->> 'id')::int in (-10, -11) order by lsn, seq"
    )
    assert [op for (op,) in rows] == ["c", "u", "u"]
    assert moving.committed() == moving.landed()
    assert parse_lsn(lsn) > until


def test_a_source_that_is_landed_or_not_yet_loaded_is_not_handed_over(moving: Moving) -> None:
    with (
        pytest.raises(NotYetLoaded, match="still being read for the first time"),
        handed_over(moving.source, moving.target.dsn),
    ):
        pass
    moving.land_slot()
    moving.caught_up()
    with (
        pytest.raises(SourceTaken, match="being landed by another process"),
        handed_over(moving.source, moving.target.dsn),
    ):
        pass
