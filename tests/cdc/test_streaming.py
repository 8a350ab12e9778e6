"""Transactions that the server streams before they commit: given as if they had come at their commit, or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cdc.ddl import install
from cdc.errors import DecodeError
from cdc.events import Batch, ChangeEvent, Message, SchemaChange, Transaction
from cdc.slots import create_slot
from cdc.sources.assembly import Assembler
from cdc.sources.slot import Limits
from tests.cdc import encoder
from tests.cdc.database import Database, items_of, read_changes, read_until, wait_for

AUDIT = "select pg_logical_emit_message(true, 'headwater.audit', '{\"actor_name\": \"%s\"}')"
LONG = "(select string_agg(md5((i * {0})::text), '') from generate_series(1, 400) i)"
LAST = 999_999

Connection = psycopg.Connection[Any]


@pytest.fixture
def accounts(database: Database) -> Database:
    """The whole of every transaction of more than 64 kB is streamed."""
    database.run(
        f"alter database {database.name} set logical_decoding_work_mem = '64kB'",
        "create table account (id int primary key, name text)",
        "alter table account replica identity full",
        "create table brief (id int primary key, name text, note text)",
    )
    install(database.connect())
    database.publish("public.account", "public.brief")
    database.make_slot()
    return database


@pytest.fixture
def eager(accounts: Database) -> Database:
    """Every change is streamed as it is decoded."""
    accounts.run(f"alter database {accounts.name} set debug_logical_replication_streaming = immediate")
    return accounts


def streamed(database: Database) -> int:
    """How many transactions the server has streamed over the slot, by its own account."""
    return int(
        database.run(f"select stream_txns from pg_stat_replication_slots where slot_name = '{database.slot}'")[0][0]
    )


def both_readings(database: Database, work: Callable[[Connection], None]) -> list[Transaction]:
    """What the work gives, read at the commit; asserts that it is the same when streamed."""
    plain_slot = f"{database.slot}_plain"
    create_slot(database.dsn, plain_slot)
    with psycopg.connect(database.dsn) as connection:
        work(connection)
    database.run(f"insert into account values ({LAST}, 'the last of all')")
    plain = database.source(slot=plain_slot, streaming=False)
    small = database.source(limits=Limits(idle_seconds=3600, spool_changes=3))
    large = database.source()
    readings = []
    for source in (plain, small, large):
        source.start(None)
        readings.append([whole(t) for batch in read_until(source, is_complete) for t in batch.transactions])
        if source is small:
            wait_for(lambda: streamed(database) > 0, "the server's statistics")
        source.close()
    assert readings[1] == readings[0]
    assert readings[2] == readings[0]
    return readings[0][:-1]


def whole(transaction: Transaction) -> Transaction:
    return replace(transaction, items=list(transaction.items))


def is_complete(batches: list[Batch]) -> bool:
    return bool(batches) and any(
        isinstance(item, ChangeEvent) and item.key == (str(LAST),) for item in items_of(batches[-1:])
    )


def keys(transaction: Transaction) -> list[int]:
    return [int(item.key[0] or 0) for item in transaction.items if isinstance(item, ChangeEvent)]


def test_a_large_transaction_comes_at_its_commit_as_it_would_unstreamed(accounts: Database) -> None:
    def work(session: Connection) -> None:
        session.execute(AUDIT % "Alice")
        session.execute("insert into account select n, 'row ' || n from generate_series(1, 4000) n")
        session.execute(AUDIT % "Bob")
        session.execute("update account set name = 'x' || name where id <= 1000")
        session.execute("update account set id = id + 100000 where id <= 10")
        session.execute("delete from account where id between 11 and 20")
        session.execute("truncate brief, account")
        session.execute("insert into account values (1, null)")

    (transaction,) = both_readings(accounts, work)
    changes = [item for item in transaction.items if isinstance(item, ChangeEvent)]
    assert [change.seq for change in changes] == list(range(4000 + 1000 + 10 + 10 + 2 + 1))
    assert [item.seq for item in transaction.items if isinstance(item, Message)] == [0, 4000]


def test_toasted_values_are_whole_where_they_were_sent_and_unchanged_where_not(eager: Database) -> None:
    def work(session: Connection) -> None:
        for number in range(1, 4):
            session.execute(f"insert into account values ({number}, {LONG.format(number)})".encode())
            session.execute(f"insert into brief values ({number}, {LONG.format(number)}, 'a')".encode())
        session.execute("update account set id = id + 10")
        session.execute("update brief set note = 'b'")

    (transaction,) = both_readings(eager, work)
    assert len(transaction.items) == 12


def test_savepoints_that_were_rolled_back_never_come_whatever_they_held(eager: Database) -> None:
    def work(session: Connection) -> None:
        session.execute("insert into account values (1, 'kept')")
        for number in range(2, 30):
            with session.transaction(force_rollback=number % 2 == 0):
                session.execute("insert into account values (%s, 'outer')", [number])
                with session.transaction(force_rollback=number % 3 == 0):
                    session.execute("insert into account values (%s, 'inner')", [number + 100])
                    session.execute("insert into brief values (%s, 'inner')", [number])
                session.execute("update account set name = 'again' where id = %s", [number])
        with session.transaction(force_rollback=True):
            session.execute("alter table account add column undone int")
            session.execute("insert into account values (200, 'undone', 1)")
        session.execute("insert into account values (300, 'last')")

    (transaction,) = both_readings(eager, work)
    assert {key for key in keys(transaction) if key < 100} == {1, *range(3, 30, 2)}
    assert not [item for item in transaction.items if isinstance(item, SchemaChange)]


def test_a_large_savepoint_that_was_rolled_back_leaves_the_file(accounts: Database) -> None:
    def work(session: Connection) -> None:
        session.execute("insert into account select n, 'kept' from generate_series(1, 2000) n")
        with session.transaction(force_rollback=True):
            session.execute("insert into account select n, 'undone' from generate_series(2001, 9000) n")
        session.execute("insert into account select n, 'kept too' from generate_series(9001, 9500) n")

    (transaction,) = both_readings(accounts, work)
    assert keys(transaction) == [*range(1, 2001), *range(9001, 9501)]


def test_a_table_that_changes_within_reads_right_before_and_after(eager: Database) -> None:
    def work(session: Connection) -> None:
        session.execute("insert into account values (1, 'a')")
        session.execute("alter table account add column city text default 'Leeds', drop column name")
        session.execute("insert into account values (2, 'York')")
        session.execute("alter table account rename id to number")
        session.execute("alter table account drop constraint account_pkey, add primary key (number, city)")
        session.execute("insert into account values (3, 'Hull')")
        session.execute("create table late (id int primary key)")
        session.execute(f"alter publication {eager.publication} add table late".encode())
        session.execute("insert into late values (4)")
        session.execute("alter table account drop constraint account_pkey, add primary key (number)")

    (transaction,) = both_readings(eager, work)
    rows = [(item.relation.names, item.key) for item in transaction.items if isinstance(item, ChangeEvent)]
    assert rows == [
        (("id", "name"), ("1",)),
        (("id", "city"), ("2",)),
        (("number", "city"), ("3", "Hull")),
        (("id",), ("4",)),
    ]


def test_messages_in_and_beside_a_streamed_transaction_keep_their_place(eager: Database) -> None:
    def work(session: Connection) -> None:
        session.execute(AUDIT % "Alice")
        session.execute("insert into account values (1, 'a')")
        session.execute("select pg_logical_emit_message(false, 'headwater.audit', 'of no transaction')")
        with session.transaction():
            session.execute(AUDIT % "Bob")
            session.execute("insert into account values (2, 'b')")
        session.execute(AUDIT % "Charlie")

    (transaction,) = both_readings(eager, work)
    said = [(json.loads(m.content)["actor_name"], m.seq) for m in transaction.items if isinstance(m, Message)]
    assert said == [("Alice", 0), ("Bob", 1), ("Charlie", 2)]


def test_a_message_of_a_savepoint_that_was_rolled_back_never_comes(eager: Database) -> None:
    """The server does not tell of which savepoint a streamed message is; then the transaction is read unstreamed."""

    def work(session: Connection) -> None:
        session.execute(AUDIT % "Alice")
        session.execute("insert into account values (1, 'a')")
        with session.transaction(force_rollback=True):
            session.execute(AUDIT % "Bob")
            session.execute("insert into account values (2, 'b')")
        with session.transaction(force_rollback=True):
            session.execute("alter table account add column undone int")
        with session.transaction(force_rollback=True):
            session.execute("insert into account values (3, 'c')")
            session.execute(AUDIT % "Charlie")
        session.execute("insert into account values (4, 'd')")

    (transaction,) = both_readings(eager, work)
    said = [json.loads(m.content)["actor_name"] for m in transaction.items if isinstance(m, Message)]
    assert said == ["Alice"]
    assert keys(transaction) == [1, 4]


def test_streaming_goes_on_after_a_transaction_that_was_read_without(eager: Database) -> None:
    source = eager.source()
    source.start(None)
    with psycopg.connect(eager.dsn) as session, session.transaction():
        session.execute("insert into account values (1, 'a')")
        with session.transaction(force_rollback=True):
            session.execute(AUDIT % "Bob")
    confirmed = eager.confirmed_lsn()
    ((given,),) = [batch.transactions for batch in read_until(source, lambda got: any(b.changes for b in got))]
    assert keys(given) == [1]
    before = streamed(eager)
    eager.run("insert into account values (2, 'b')", "insert into account values (3, 'c')")
    assert [change.key for change in read_changes(source, 2)] == [("2",), ("3",)]
    wait_for(lambda: streamed(eager) > before, "a transaction to be streamed again")
    source.close()
    assert eager.confirmed_lsn() == confirmed, "nothing was acknowledged"


def test_transactions_that_are_streamed_side_by_side_come_in_the_order_of_their_commits(accounts: Database) -> None:
    source = accounts.source(limits=Limits(idle_seconds=0.05))
    source.start(None)
    batches: list[Batch] = []

    def is_streamed(transactions: int) -> bool:
        batch = source.read(10_000, 0.05)
        if batch is not None:
            batches.append(batch)
        return streamed(accounts) >= transactions

    with psycopg.connect(accounts.dsn) as early, psycopg.connect(accounts.dsn) as late, early.cursor() as cursor:
        for part in range(3):
            for session, first in ((early, 10_000), (late, 50_000)):
                session.execute(
                    "insert into account select n, 'part' from generate_series(%s::int, %s) n",
                    [first + part * 1000, first + part * 1000 + 999],
                )
        with psycopg.connect(accounts.dsn) as never:
            never.execute("insert into account select n, 'never' from generate_series(70000, 75000) n")
            wait_for(lambda: is_streamed(3), "three streamed transactions")
            never.rollback()
        accounts.run("insert into account values (1, 'small, between')")
        batches += read_until(source, lambda got: any(batch.changes for batch in got))
        assert [keys(t) for batch in batches for t in batch.transactions] == [[1]]
        late.commit()
        cursor.execute("insert into account values (2, 'after the other')")
        early.commit()
    batches += read_until(source, lambda got: sum(batch.changes for batch in got) >= 6001)
    given = [t for batch in batches for t in batch.transactions]
    assert [keys(t) for t in given] == [[1], [*range(50_000, 53_000)], [*range(10_000, 13_000), 2]]
    assert given[1].end_lsn <= given[2].commit_lsn
    assert not any(accounts.spool_dir.glob("*"))


def test_many_transactions_on_their_way_take_no_more_memory_than_one_may(accounts: Database) -> None:
    limits = Limits(idle_seconds=3600, spool_bytes=300_000)
    source = accounts.source(limits=limits)
    source.start(None)
    held = []
    sessions = [accounts.resources.enter_context(psycopg.connect(accounts.dsn)) for _ in range(4)]
    for number, session in enumerate(sessions):
        session.execute(
            "insert into account select n, repeat('x', 100) from generate_series(%s::int, %s) n",
            [number * 10_000, number * 10_000 + 4999],
        )

    def all_streamed() -> bool:
        assert source._reader is not None
        held.append(source._reader._assembler.streamed_bytes)
        return streamed(accounts) >= 4

    wait_for(all_streamed, "the transactions")
    for session in sessions:
        session.commit()
    batches = read_until(source, lambda got: sum(batch.changes for batch in got) == 20_000)
    # Looked at from another thread, which may come between a row of 250 bytes and the room that is then made for it.
    assert max(held) <= limits.spool_bytes + 250
    assert [(batch.changes, batch.spooled) for batch in batches] == [(5000, True)] * 4
    assert [keys(t) for batch in batches for t in batch.transactions] == [
        [*range(number * 10_000, number * 10_000 + 5000)] for number in range(4)
    ]


READER = """
import sys
from pathlib import Path
from cdc.sources.slot import Limits, SlotSource
dsn, slot, publication, spool = sys.argv[1:]
limits = Limits(idle_seconds=3600, spool_changes=500)
source = SlotSource("test", dsn, slot=slot, publications=[publication], spool_dir=Path(spool), limits=limits)
source.start(None)
while True:
    assert source.read(10_000, 1) is None
"""


def has_spooled(pid: int, directory: Path) -> bool:
    """Whether the process has a file open there, whose name is gone already."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if descriptor.readlink().is_relative_to(directory):
                return True
    return False


def test_a_reader_killed_within_a_stream_leaves_nothing_behind_and_the_next_reads_it_whole(accounts: Database) -> None:
    arguments = [accounts.dsn, accounts.slot, accounts.publication, str(accounts.spool_dir)]
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
    )
    try:
        with psycopg.connect(accounts.dsn) as session:
            session.execute("insert into account select n, 'a' from generate_series(1, 5000) n")
            wait_for(lambda: has_spooled(reader.pid, accounts.spool_dir), "a part of it on disk")
            reader.send_signal(signal.SIGKILL)
            reader.wait()
            session.execute("insert into account select n, 'b' from generate_series(5001, 6000) n")
            source = accounts.source()
            source.start(None)
            assert source.read(10_000, 0.1) is None
    finally:
        reader.kill()
        reader.wait()
    assert [int(change.key[0] or 0) for change in read_changes(source, 6000)] == [*range(1, 6001)]
    assert list(accounts.spool_dir.iterdir()) == []


def test_a_table_that_was_described_anew_meanwhile_is_read_as_described_last(accounts: Database) -> None:
    """The publication's columns change while a streamed transaction is open that has been told of the old ones."""

    def work(session: Connection) -> None:
        session.execute("insert into account select n, 'wide' from generate_series(1, 3000) n")
        accounts.run(
            "insert into account values (3001, 'wide')",
            f"alter publication {accounts.publication} drop table brief",
            f"alter publication {accounts.publication} add table brief (id, note)",
            "insert into brief values (1, 'not sent', 'sent')",
        )
        session.execute("insert into brief select n, 'not sent', 'sent' from generate_series(2, 3) n")
        session.commit()
        accounts.run("insert into brief values (4, 'not sent', 'sent')", "insert into account values (3002, 'wide')")

    given = both_readings(accounts, work)
    assert [keys(t) for t in given if keys(t)] == [[3001], [1], [*range(1, 3001), 2, 3], [4], [3002]]


def test_the_latest_description_stands_when_the_one_who_brought_an_older_commits() -> None:
    """By protocol alone: the server's own subscribers would read the last row wrongly."""
    assembler = Assembler(skip_until=0, spool_dir=Path("unused"), spool_changes=1000, spool_bytes=1 << 20)
    two = encoder.relation(7, "s", "t", "d", encoder.columns("id", "name"))
    one = encoder.relation(7, "s", "t", "d", encoder.columns("id"))
    feed = [
        encoder.stream_start(5, first=True),
        encoder.in_stream(two, 5),
        encoder.in_stream(encoder.insert(7, ["1", "a"]), 5),
        encoder.stream_stop(),
        encoder.begin(6, 100, 0),
        one,
        encoder.insert(7, ["2"]),
        encoder.commit(100, 110, 0),
        encoder.stream_commit(5, 120, 130, 0),
    ]
    small, streaming = (raw for raw in (assembler.add(1, data) for data in feed) if raw is not None)
    assert [data for _, data in small.schema_messages] == [one]
    assert streaming.schema_messages == []
    assert next(data for _, data in streaming.messages) == two


@pytest.mark.parametrize(
    "message",
    [
        encoder.stream_start(5, first=True)[:-1],
        encoder.stream_start(5, first=False),
        encoder.stream_commit(5, 1, 2, 0),
        encoder.stream_commit(5, 1, 2, 0)[:-1],
        encoder.stream_abort(5, 6),
        encoder.stream_abort(5, 6) + b"x",
    ],
)
def test_a_broken_stream_is_refused(message: bytes) -> None:
    assembler = Assembler(skip_until=0, spool_dir=Path("unused"), spool_changes=1000, spool_bytes=1 << 20)
    with pytest.raises(DecodeError):
        assembler.add(1, message)
