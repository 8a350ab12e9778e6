"""The slot source on a real server: what is committed arrives whole, in order, with its images, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from cdc.ddl import install
from cdc.errors import SpoolError
from cdc.events import UNCHANGED, ChangeEvent, Message
from cdc.positions import parse_lsn
from cdc.sources.slot import Limits
from tests.cdc.database import (
    DEADLINE,
    Database,
    items_of,
    messages,
    read_changes,
    read_until,
    schema_changes,
    wait_for,
)


@pytest.fixture
def accounts(database: Database) -> Database:
    database.run("create table account (id int primary key, name text)", "alter table account replica identity full")
    database.publish("public.account")
    database.make_slot()
    return database


def test_changes_arrive_in_commit_order_with_keys_and_images(accounts: Database) -> None:
    accounts.run(
        "insert into account values (1, 'Acme'), (2, null)",
        "update account set name = 'Acme Ltd' where id = 1",
        "update account set id = 3 where id = 1",
        "delete from account where id = 2",
        "truncate account",
    )
    source = accounts.source()
    source.start(None)
    changes = read_changes(source, 6)
    assert [(c.op, c.key, c.before, c.after) for c in changes] == [
        ("c", ("1",), None, ["1", "Acme"]),
        ("c", ("2",), None, ["2", None]),
        ("u", ("1",), ["1", "Acme"], ["1", "Acme Ltd"]),
        ("u", ("3",), ["1", "Acme Ltd"], ["3", "Acme Ltd"]),
        ("d", ("2",), ["2", None], None),
        ("t", (), None, None),
    ]
    assert [c.seq for c in changes] == [0, 1, 0, 0, 0, 0]
    assert [column.is_key for column in changes[0].relation.columns] == [True, False]


def test_transactions_come_in_commit_order_whatever_order_they_began_in(accounts: Database) -> None:
    with psycopg.connect(accounts.dsn) as early, psycopg.connect(accounts.dsn) as late:
        early.execute("insert into account values (1, 'began first')")
        late.execute("insert into account values (2, 'committed first')")
        late.commit()
        early.execute("insert into account values (3, 'began first')")
        early.commit()
    source = accounts.source()
    source.start(None)
    batches = read_until(source, lambda got: sum(batch.changes for batch in got) == 3)
    transactions = [transaction for batch in batches for transaction in batch.transactions]
    assert [[getattr(item, "key", None) for item in t.items] for t in transactions] == [[("2",)], [("1",), ("3",)]]
    assert transactions[0].end_lsn <= transactions[1].commit_lsn < transactions[1].end_lsn


def test_transaction_times_and_ids_are_the_servers(accounts: Database) -> None:
    with psycopg.connect(accounts.dsn) as connection:
        connection.execute("insert into account values (1, 'a')")
        row = connection.execute(
            "select pg_current_xact_id()::text, extract(epoch from clock_timestamp()) * 1000000"
        ).fetchone()
    assert row is not None
    source = accounts.source()
    source.start(None)
    ((transaction,),) = [
        batch.transactions for batch in read_until(source, lambda got: any(batch.changes for batch in got))
    ]
    assert transaction.xid == int(row[0])
    assert 0 <= transaction.committed_at - int(row[1]) < 60_000_000


def test_savepoints_that_were_rolled_back_leave_the_rest_whole(accounts: Database) -> None:
    with psycopg.connect(accounts.dsn) as connection:
        connection.execute("insert into account values (1, 'kept')")
        for number in range(2, 80):  # more subtransactions than the server keeps in its shared cache
            with connection.transaction(force_rollback=number % 2 == 0):
                connection.execute("insert into account values (%s, 'nested')", [number])
        connection.execute("insert into account values (100, 'last')")
    source = accounts.source()
    source.start(None)
    changes = read_changes(source, 41)
    assert [int(change.key[0] or 0) for change in changes] == [1, *range(3, 80, 2), 100]
    assert [change.seq for change in changes] == list(range(41))
    assert len({change.xid for change in changes}) == 1


def test_a_message_has_the_sequence_of_the_change_that_follows_it(accounts: Database) -> None:
    with psycopg.connect(accounts.dsn) as connection:
        for number, actor in enumerate(["alice", "bob"]):
            connection.execute(
                "select pg_logical_emit_message(true, 'headwater.audit', %s)", [f'{{"actor": "{actor}"}}']
            )
            connection.execute("insert into account values (%s, %s)", [number, actor])
        connection.execute("select pg_logical_emit_message(false, 'elsewhere', 'in no transaction')")
    source = accounts.source()
    source.start(None)
    items = items_of(read_until(source, lambda got: sum(batch.changes for batch in got) == 2))
    assert [type(item) for item in items] == [Message, ChangeEvent, Message, ChangeEvent]
    assert [getattr(item, "seq", None) for item in items] == [0, 0, 1, 1]
    assert [json.loads(message.content)["actor"] for message in messages(items)] == ["alice", "bob"]
    assert len({getattr(item, "xid", None) for item in items}) == 1


def test_unchanged_toast_is_filled_under_full_identity_and_marked_under_default(accounts: Database) -> None:
    large = "select string_agg(md5(i::text), '') from generate_series(1, 400) i"
    accounts.run(
        "create table brief (id int primary key, name text, note text)",
        f"alter publication {accounts.publication} add table brief",
        f"insert into account values (1, ({large}))",
        f"insert into brief values (1, ({large}), 'a')",
        "update account set id = 2",
        "update brief set note = 'b'",
        "update brief set id = 2",
    )
    text = accounts.run(large)[0][0]
    source = accounts.source()
    source.start(None)
    updates = [change for change in read_changes(source, 5) if change.op == "u"]
    assert [(u.key, u.before, u.after) for u in updates] == [
        (("2",), ["1", text], ["2", text]),
        (("1",), None, ["1", UNCHANGED, "b"]),
        (("2",), ["1", UNCHANGED, UNCHANGED], ["2", UNCHANGED, "b"]),
    ]


def test_nothing_is_acknowledged_but_what_was_given(accounts: Database) -> None:
    """Not before the first change, not while idle, not after a batch that nobody stored."""
    source = accounts.source(limits=Limits(idle_seconds=0.05))
    before = accounts.confirmed_lsn()
    source.start(None)
    accounts.run("create table unrelated as select generate_series(1, 1000)")
    (idle,) = read_until(source, lambda got: len(got) > 0)
    assert idle.transactions == []
    accounts.run("insert into account values (1, 'a')")
    batches = read_until(source, lambda got: any(batch.changes for batch in got))
    accounts.run("drop table unrelated")
    later = read_until(source, lambda got: bool(got) and got[-1].position.lsn > batches[-1].position.lsn)[-1]
    assert accounts.confirmed_lsn() == before
    source.acknowledge(batches[-1].position)
    wait_for(lambda: parse_lsn(accounts.confirmed_lsn()) == batches[-1].position.lsn, "the acknowledgement")
    source.acknowledge(later.position)
    source.close()
    wait_for(lambda: parse_lsn(accounts.confirmed_lsn()) == later.position.lsn, "the last acknowledgement")
    accounts.run("insert into account values (2, 'b')")
    again = accounts.source()
    again.start(later.position)
    assert [change.key for change in read_changes(again, 1)] == [("2",)]


def test_an_idle_source_does_not_feed_itself(accounts: Database) -> None:
    """Storing and acknowledging an idle position gives no reason for the next one: they end with what others write."""
    source = accounts.source(limits=Limits(idle_seconds=0.05))
    source.start(None)
    accounts.run("insert into account values (1, 'a')")
    read_until(source, lambda got: any(batch.changes for batch in got))
    accounts.run("create table unrelated as select generate_series(1, 1000)")
    end = parse_lsn(accounts.run("select pg_current_wal_flush_lsn()::text")[0][0])
    reached = read_until(source, lambda got: bool(got) and got[-1].position.lsn >= end)[-1]
    assert reached.transactions == []
    source.acknowledge(reached.position)

    def is_quiet() -> bool:
        """For twenty times as long as it takes to give one; the server itself writes something now and then."""
        batch = source.read(10, 1.0)
        if batch is not None:
            source.acknowledge(batch.position)
        return batch is None

    wait_for(is_quiet, "the end of idle positions")


def test_reading_stops_when_enough_is_queued_and_the_rest_still_comes(accounts: Database) -> None:
    for number in range(40):
        accounts.run(f"insert into account select i, repeat('x', 1000) from generate_series({number}01, {number}99) i")
    limits = Limits(idle_seconds=3600, queued_bytes=500_000)
    source = accounts.source(limits=limits)
    source.start(None)
    reader = source._reader
    assert reader is not None
    wait_for(lambda: reader.queued_bytes >= limits.queued_bytes, "the queue to fill")
    assert reader.queued_bytes < limits.queued_bytes + 200_000
    changes = read_changes(source, 40 * 99, max_changes=99)
    assert len({change.key for change in changes}) == 40 * 99


def test_a_large_transaction_comes_alone_from_disk_and_reads_the_same_each_time(accounts: Database) -> None:
    install(accounts.connect())
    accounts.run("insert into account values (0, 'small before')")
    with psycopg.connect(accounts.dsn) as connection:
        connection.execute("select pg_logical_emit_message(true, 'headwater.audit', '{}')")
        connection.execute("insert into account select i, 'large ' || i from generate_series(1, 3000) i")
        connection.execute("create table late (id int primary key, word text)")
        connection.execute(f"alter publication {accounts.publication} add table late".encode())
        connection.execute("insert into late values (1, 'late')")
    accounts.run("insert into late values (2, 'small after')")
    source = accounts.source(limits=Limits(idle_seconds=3600, spool_changes=1000))
    source.start(None)
    batches = read_until(source, lambda got: sum(batch.changes for batch in got) == 3003)
    assert [(batch.changes, batch.spooled) for batch in batches] == [(1, False), (3001, True), (1, False)]
    (large,) = batches[1].transactions
    once, twice = list(large.items), list(large.items)
    assert once == twice
    assert len(large.items) == len(once) == 3003
    assert [change.table for change in schema_changes(once)] == ["late"]
    assert large.items[0] == once[0]
    assert large.items[-1] == once[-1]
    assert [getattr(item, "seq", None) for item in once] == [0, *range(3000), 3000, 3000]
    assert isinstance(once[-1], ChangeEvent)
    assert (once[-1].relation.table, once[-1].after) == ("late", ["1", "late"])
    (after,) = items_of(batches[2:])
    assert isinstance(after, ChangeEvent)
    assert (after.key, after.after) == (("2",), ["2", "small after"])
    source.acknowledge(batches[-1].position)
    with pytest.raises(ValueError, match="closed file"):
        list(large.items)
    assert list(accounts.spool_dir.iterdir()) == []


MEASURE = """
import json, resource, sys
from pathlib import Path
from cdc.sources.slot import SlotSource
dsn, slot, publication, spool = sys.argv[1:]
source = SlotSource("test", dsn, slot=slot, publications=[publication], spool_dir=Path(spool))
def rss():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source.start(None)
before = rss()
batch = None
while batch is None or not batch.transactions:
    batch = source.read(10_000, 5)
count = total = 0
for item in batch.transactions[0].items:
    count += 1
    total += int(item.after[0])
print(json.dumps({"count": count, "total": total, "spooled": batch.spooled, "grown_mb": (rss() - before) / 1024}))
source.close()
"""


def test_a_transaction_of_500_000_rows_arrives_whole_in_bounded_memory(accounts: Database) -> None:
    accounts.run("insert into account select i, 'row number ' || i from generate_series(1, 500000) i")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, accounts.dsn, accounts.slot, accounts.publication, str(accounts.spool_dir)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["spooled"]
    assert (measured["count"], measured["total"]) == (500_000, 500_000 * 500_001 // 2)
    assert measured["grown_mb"] < 80


def test_a_full_disk_is_told_and_reading_resumes(accounts: Database, tmp_path: Path) -> None:
    """A file stands where the spool's folder should be: the same error path as a full disk."""
    accounts.run("insert into account select i, 'x' from generate_series(1, 2000) i")
    tmp_path.joinpath("spool").write_text("in the way")
    source = accounts.source(limits=Limits(idle_seconds=3600, spool_changes=1000))
    source.start(None)
    with pytest.raises(SpoolError, match="Make room there; reading resumes"):
        read_changes(source, 2000)
    tmp_path.joinpath("spool").unlink()
    source.start(None)
    assert len(read_changes(source, 2000)) == 2000


def test_reads_return_by_their_timeout_while_a_transaction_is_half_received(accounts: Database) -> None:
    source = accounts.source()
    source.start(None)
    began = time.monotonic()
    with psycopg.connect(accounts.dsn) as connection:
        connection.execute("insert into account values (1, 'open')")
        assert source.read(10, 0.1) is None
    assert time.monotonic() - began < DEADLINE, "it hangs"
    assert [change.key for change in read_changes(source, 1)] == [("1",)]
