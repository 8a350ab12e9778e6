"""One workload, read from the same WAL over both transports: equal event by event and field by field, but for what
``cdc/debezium/waivers.json`` names."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import psycopg
import pytest

from cdc import ddl
from cdc.catalogue import read_descriptions
from cdc.connectors import HEARTBEAT, changes_topic, messages_topic
from cdc.debezium.envelope import EnvelopeDecoder
from cdc.debezium.errors import NewShape
from cdc.debezium.tables import Tables
from cdc.events import UNCHANGED, Batch, ChangeEvent, Item, Message, SchemaChange
from cdc.slots import create_slot
from cdc.sources.kafka import KafkaBatch, KafkaSource
from cdc.sources.kafka_member import Group, Start
from tests.cdc.database import read_until
from tests.cdc.test_type_fidelity import OWN_CASES, TYPES, debezium_cases
from tests.kafka.shop import Shop

WAIVERS: dict[str, Any] = json.loads(files("cdc.debezium").joinpath("waivers.json").read_text())

# Types that neither list has, and numbers whose shortest text the two languages work out differently.
MORE_CASES = [
    ("timestamp(3)", "'infinity'"),
    ("timestamp(3)", "'-infinity'"),
    ("timestamp", "'0001-01-01 BC'"),
    ("timestamptz", "'0001-12-31 00:00:00+00 BC'"),
    ("date", "'0001-01-01'"),
    ("interval", "'infinity'"),
    ("interval", "'-00:00:01.5'"),
    ("interval", "'1 mon -1 day 00:00:00.000001'"),
    ("interval", "'0'"),
    ("float4", "1234567.8"),
    ("float4", "123456.7"),
    ("float4", "3.4028235e38"),
    ("float8", "1e15"),
    ("float8", "123456789012345"),
    ("float8", "0.00001"),
    ("float8", "5e-324"),
    ("float8", "1e23"),
    ("boolean[]", "'{t,f,NULL}'"),
    ("date[]", "'{2024-02-29}'"),
    ("float8[]", "'{1.5,NaN,1e20}'"),
    ("float4[]", "'{1.1,1e10}'"),
    ("uuid[]", "array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]"),
    ("timestamp[]", "'{2024-01-01 00:00:00.5}'"),
    ("inet[]", "'{10.0.0.1}'"),
    ("time[]", "'{10:00}'"),
    ("bigint[]", "'{1}'"),
    ("numeric[]", "'{1.50,2}'"),
    ("char(3)[]", "'{a}'"),
    ("numrange[]", "array['[1,2)'::numrange]"),
    ("timetz", "'12:00:00+00'"),
    ("path", "'((0,0),(1e20,1e-7))'"),
    ("box", "'(3,4),(-1,7.5)'"),
    ("varbit(8)", "B'101'"),
    ("interval[]", "'{1 day}'"),
    ("money[]", "'{12.5}'"),
    ("name[]", "'{a}'"),
]


def type_cases() -> list[tuple[str, str]]:
    """Every case of Debezium's own tests and of ours, but for those that stop the connector or park the record."""
    stopping = [re.compile(pattern) for kind in ("stops", "parks") for pattern in WAIVERS[kind]["cases"]]
    cases = [*debezium_cases(), *OWN_CASES, *MORE_CASES]
    return [case for case in cases if not any(pattern.fullmatch(" ".join(case)) for pattern in stopping)]


@dataclass(frozen=True)
class Seen:
    """An item with its place: ``order`` counts items of the transaction from 0."""

    xid: int
    order: int
    committed_at: int
    item: Item


class Recorded:
    """The workload: tables first, then transactions of every kind."""

    def __init__(self, shop: Shop) -> None:
        self.database = shop.database
        self.cases = type_cases()

    def prepare(self) -> None:
        columns = ", ".join(f"c{number} {pg_type}" for number, (pg_type, _) in enumerate(self.cases))
        self.database.run(
            TYPES,
            f"create table sample (id int primary key, {columns})",
            "alter table sample replica identity full",
            "create table plain (a int, b text, doc text, tags text[], raw bytea, notes jsonb, primary key (b, a))",
            *(f"alter table plain alter {name} set storage external" for name in ("doc", "tags", "raw", "notes")),
            "create table wide (id int primary key, name text default 'somebody', doc text)",
            "alter table wide alter doc set storage external, replica identity full",
            "create table changing (id int primary key, a int, b text)",
            "alter table changing replica identity full",
        )
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            ddl.install(connection)
        self.database.run("alter publication pub_all add table sample, plain, wide, changing")

    def run(self) -> Iterator[None]:
        """Stops where a reader should have everything so far before a table changes."""
        names = ", ".join(f"c{number}" for number in range(len(self.cases)))
        values = ", ".join(expression for _, expression in self.cases)
        transact = self._transact
        transact(f"insert into sample values (1, {values})")
        transact("update sample set id = 2")
        transact(f"insert into sample (id, {names}) select 3, {names} from sample", "delete from sample where id = 3")
        audit = "select pg_logical_emit_message(true, 'headwater.audit', '{\"actor_name\": \"Zoë %d\"}')"
        transact(
            "insert into wide values (1, null), (2, 'b')",
            audit % 1,
            "update wide set name = 'x' where id = 1",
            "update wide set id = 7 where id = 2",
            audit % 2,
            "insert into wide (id) values (3)",
        )
        transact("select pg_logical_emit_message(true, 'headwater.audit', 'alone')")
        self.database.run("select pg_logical_emit_message(false, 'headwater.audit', 'of no transaction')")
        long = "repeat('x', 9000)"
        transact(
            f"insert into plain values (1, 'k', {long}, array[{long}], {long}::bytea, to_jsonb({long}))",
            f"insert into wide values (9, 'toasted', {long})",
        )
        transact("update plain set a = a", "update wide set name = 'kept' where id = 9")
        transact("update plain set doc = null where a = 1", "update plain set a = 2", "delete from plain")
        transact("insert into plain values (1, 'z')", "truncate plain, wide", "insert into wide values (1, 'again')")
        transact("insert into wide values (99, 'never')", rollback=True)
        transact(
            "insert into wide values (10, 'kept')",
            "savepoint one",
            "insert into wide values (11, 'undone')",
            "rollback to one",
            "savepoint two",
            "insert into wide values (12, 'kept')",
            "release two",
            "update wide set name = 'kept too' where id = 10",
        )
        transact("insert into changing select n, n, 'row ' || n from generate_series(1, 20) n")
        yield
        for step, statement in enumerate(
            (
                "alter table changing add column c numeric(8,2) default 1.5",
                "alter table changing rename column b to label",
                "alter table changing alter a type bigint",
                "alter table changing drop column c",
                "alter table changing add column c date",
            )
        ):
            transact("update changing set label = 'x' where id = 1" if step > 1 else audit % step, statement)
            transact("update changing set a = a + 1 where id < 4")
            yield
        transact("alter table changing add column d int", "update changing set d = id where id < 3")
        yield
        transact("insert into wide select n, 'row ' || n, null from generate_series(1000, 6000) n")
        transact(
            "insert into shop.outbox values (gen_random_uuid(), 'account', gen_random_uuid(), 1, 'ACCOUNT_CREATED', 1,"
            " '{\"amount\": 12.50}', now(), null, null, null)",
            "insert into shop.item values (1, 'one', 1.5)",
        )
        yield

    def mark(self, number: int) -> None:
        """A message, and rows for every partition, that say: so far."""
        rows = f"insert into shop.item select n, 'mark' from generate_series({number}, {number} + {MARKS} - 1) n"
        self._transact(rows, f"select pg_logical_emit_message(true, 'headwater.audit', 'mark {number}')")

    def _transact(self, *statements: str, rollback: bool = False) -> None:
        with psycopg.connect(self.database.dsn) as connection, connection.transaction(force_rollback=rollback):
            for statement in statements:
                connection.execute(statement.encode())


MARKS = 16
"""Rows of a mark: that a partition gets none of them happens once in 30,000 marks of two partitions."""


def embedded(shop: Shop, marks: int, *, slot: str, streaming: bool) -> list[Seen]:
    source = shop.database.source(publications=["pub_all"], slot=slot, streaming=streaming)
    source.start(None)
    batches = read_until(source, lambda got: has_mark(got, marks))
    source.close()
    return [
        Seen(transaction.xid, order, transaction.committed_at, item)
        for batch in batches
        for transaction in batch.transactions
        for order, item in enumerate(transaction.items)
        if not (isinstance(item, Message) and item.prefix == HEARTBEAT)
    ]


def has_mark(batches: Sequence[Batch | KafkaBatch], number: int) -> bool:
    items = [item for batch in batches for transaction in batch.transactions for item in transaction.items]
    rows = {i.key for i in items if isinstance(i, ChangeEvent) and i.relation.table == "item"}
    said = any(isinstance(i, Message) and i.content == f"mark {number}".encode() for i in items)
    return said and {(str(n),) for n in range(number, number + MARKS)} <= rows


class KafkaReader:
    """The workload as it comes over Kafka."""

    def __init__(self, shop: Shop, tables: Tables, xid: int) -> None:
        name = shop.source.name
        self._shop = shop
        self._connector = shop.changes().name
        self.batches: list[KafkaBatch] = []
        self.source = KafkaSource(
            "test",
            shop.plant.bootstrap,
            [changes_topic(name), messages_topic(name)],
            EnvelopeDecoder("test", tables, xid_reference=xid, publications=frozenset(["pub_all"])),
            Group(f"equality-{uuid.uuid4().hex}", "one", session_timeout=6),
            claim=lambda partitions: dict.fromkeys(partitions, Start()),
            release=lambda partitions, lost: None,
        )

    def read_to(self, number: int) -> None:
        """Reads on until the mark ``number`` has come by every way."""
        deadline = time.monotonic() + 120
        waiting: list[NewShape] = []
        while not has_mark(self.batches, number):
            assert time.monotonic() < deadline, f"no mark {number}: {self._shop.connect.status(self._connector)}"
            batch = self.source.read(10_000, 0.5)
            if batch is None:
                continue
            self.batches.append(batch)
            waiting += batch.waiting
            # A mark's message follows the schema changes before it, and they explain the rows that wait.
            if self._was_told(number):
                self.source.accept(new.shape for new in waiting)

    def _was_told(self, number: int) -> bool:
        return any(
            isinstance(item, Message) and item.content == f"mark {number}".encode()
            for batch in self.batches
            for transaction in batch.transactions
            for item in transaction.items
        )


def seen_in(batches: Iterable[KafkaBatch]) -> Iterator[Seen]:
    """The items of all partitions, put together by transaction, in the order that Debezium gave them."""
    transactions: dict[int, list[tuple[int, int, Item]]] = defaultdict(list)
    for batch in batches:
        assert not batch.poison
        for transaction in batch.transactions:
            for item in transaction.items:
                transactions[transaction.xid].append((item.seq, transaction.committed_at, item))
    for xid, items in transactions.items():
        items.sort(key=lambda one: one[0])
        assert len({seq for seq, _, _ in items}) == len(items), "total_order is a transaction's own"
        rows = 0
        for order, (committed_at, item) in enumerate(one_update_per_key(items)):
            yield Seen(xid, order, committed_at, replace(item, seq=rows))
            rows += isinstance(item, ChangeEvent)


def one_update_per_key(items: Sequence[tuple[int, int, Item]]) -> Iterator[tuple[int, Item]]:
    """Waiver "key update": Debezium's deletion of the old key and creation of the new one, as the one update."""
    waiting: ChangeEvent | None = None
    for _, committed_at, item in items:
        if waiting is not None:
            assert isinstance(item, ChangeEvent)
            if item.op == "c" and item.lsn == waiting.lsn:
                yield committed_at, update_of(waiting, item)
                waiting = None
                continue
            yield committed_at, waiting
            waiting = None
        if isinstance(item, ChangeEvent) and item.op == "d":
            waiting = item
            continue
        yield committed_at, item
    if waiting is not None:
        yield committed_at, waiting


def update_of(gone: ChangeEvent, made: ChangeEvent) -> ChangeEvent:
    assert gone.before is not None
    assert made.after is not None
    after = [old if new is UNCHANGED else new for old, new in zip(gone.before, made.after, strict=True)]
    return replace(made, op="u", before=gone.before, after=after)


@pytest.fixture
def recorded(shop: Shop) -> Recorded:
    made = Recorded(shop)
    made.prepare()
    return made


def test_both_transports_give_the_same_events(shop: Shop, recorded: Recorded) -> None:
    database = shop.database
    database.make_slot()
    create_slot(database.dsn, f"{database.slot}_streamed")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        descriptions = read_descriptions(connection, ["public", "shop"])
        types: dict[int, str] = dict(
            connection.execute("select oid::bigint, format_type(oid, null) from pg_type").fetchall()
        )
    shop.start(shop.changes())
    ((xid,),) = database.run("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    reader = KafkaReader(shop, Tables(descriptions), xid)
    reader.source.start()
    marks = 0
    try:
        for _ in recorded.run():
            marks += MARKS
            recorded.mark(marks)
            reader.read_to(marks)
    finally:
        reader.source.close()
    ours = embedded(shop, marks, slot=database.slot, streaming=False)
    # From here on the server streams every transaction, change by change, before it commits.
    database.run(f"alter database {database.name} set debug_logical_replication_streaming = immediate")
    assert embedded(shop, marks, slot=f"{database.slot}_streamed", streaming=True) == ours
    # The connector's slot is a little older.
    theirs = [seen for seen in seen_in(reader.batches) if seen.xid >= xid]

    assert {s.xid for s in theirs} == {s.xid for s in ours}
    place = {xid: number for number, xid in enumerate(dict.fromkeys(s.xid for s in ours))}
    theirs.sort(key=lambda s: (place[s.xid], s.order))
    assert [(s.xid, s.order, type(s.item)) for s in theirs] == [(s.xid, s.order, type(s.item)) for s in ours]
    altered = {(s.xid, s.item.relid): s.item.lsn for s in ours if isinstance(s.item, SchemaChange)}
    waived = Waived(types, altered)
    for mine, other in zip(ours, theirs, strict=True):
        assert other.committed_at == mine.committed_at
        compare(mine.item, other.item, waived)
    assert not waived.unwaived, "\n".join(sorted({str(difference) for difference in waived.unwaived}))
    waived.assert_all_needed(recorded.cases)


class Waived:
    """Which of the waivers for values and columns were needed.

    ``altered``: (xid, table) → the LSN of its schema change, which may be read before the rows it follows.
    """

    def __init__(self, types: dict[int, str], altered: dict[tuple[int, int], int]) -> None:
        self.types = types
        self.altered = altered
        self.unwaived: list[tuple[object, ...]] = []
        self._used: set[tuple[str, str]] = set()

    def value(self, type_name: str, mine: object, other: object) -> bool:
        for waiver in WAIVERS["values"]:
            if type_name in waiver["types"] and [mine, other] in waiver["differences"]:
                self._used.add((waiver["name"], str(mine)))
                return True
        return False

    def column(self, type_name: str) -> bool:
        self._used.add(("column", type_name))
        return type_name in WAIVERS["columns"]["types"]

    def assert_all_needed(self, cases: Sequence[tuple[str, str]]) -> None:
        if not debezium_cases():
            return  # some of the values stand in the published cases alone
        listed = {(w["name"], mine) for w in WAIVERS["values"] for mine, _ in w["differences"]}
        listed |= {("column", type_name) for type_name in WAIVERS["columns"]["types"]}
        assert self._used == listed


def compare(mine: Item, other: Item, waived: Waived) -> None:
    if not isinstance(mine, ChangeEvent):
        assert other == mine
        return
    assert isinstance(other, ChangeEvent)
    assert (other.source, other.xid, other.lsn, other.seq, other.op) == (
        mine.source,
        mine.xid,
        mine.lsn,
        mine.seq,
        mine.op,
    )
    types = waived.types
    kept = []
    for column in mine.relation.columns:
        if column.name in other.relation.names or not waived.column(types[column.type_oid]):
            kept.append(column)
    if (mine.xid, mine.relation.relid) in waived.altered and mine.lsn < waived.altered[mine.xid, mine.relation.relid]:
        assert other.relation.names == mine.relation.names
    else:
        assert other.relation == replace(mine.relation, columns=tuple(kept))
    assert other.key == mine.key
    for image in ("before", "after"):
        left, right = getattr(mine, image), getattr(other, image)
        assert (left is None) == (right is None), (mine, other)
        if left is None:
            continue
        there = dict(zip(other.relation.names, right, strict=True))
        for column, value in zip(mine.relation.columns, left, strict=True):
            if column.name in there and there[column.name] != value:
                type_name = types[column.type_oid]
                if not waived.value(type_name, value, there[column.name]):
                    waived.unwaived.append((mine.relation.table, column.name, type_name, value, there[column.name]))
