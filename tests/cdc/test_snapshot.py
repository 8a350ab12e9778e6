"""A snapshot and the stream behind it give exactly the source, whatever is written meanwhile and whenever it dies."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from cdc.ddl import install
from cdc.errors import NotPublishable
from cdc.events import ChangeEvent, Item, Value
from cdc.snapshot import begin_snapshot, read_chunks
from cdc.snapshot_filter import SnapshotFilter
from cdc.snapshot_progress import SnapshotProgress
from tests.cdc.database import Database, items_of, read_until, wait_for

Row = tuple[Value, ...]


class Mirror:
    """A consumer of the least kind: what it stores, it stores with the progress, as one."""

    def __init__(self, database: Database, *tables: str) -> None:
        self.database = database
        self.rows: dict[tuple[int, tuple[str | None, ...]], Row] = {}
        self.stored = begin_snapshot("test", database.dsn, tables).to_json()
        self.reads = 0

    def snapshot(self, *, stop_after: int | None = None, chunk_bytes: int = 4_000) -> None:
        """Reads on from the stored progress; ``stop_after`` pieces it dies before storing the next one."""
        for number, chunk in enumerate(
            read_chunks(self.database.dsn, SnapshotProgress.from_json(self.stored), chunk_bytes=chunk_bytes)
        ):
            if number == stop_after:
                return
            if chunk.first:
                self.clear(chunk.relation.relid)
            for event in chunk.events():
                assert event.after is not None
                self.rows[chunk.relation.relid, event.key] = tuple(event.after)
            self.stored = chunk.progress.to_json()
            self.reads += 1

    def clear(self, relid: int) -> None:
        self.rows = {place: row for place, row in self.rows.items() if place[0] != relid}

    def stream(self, marker: int = -1) -> None:
        """Applies the stream from the slot's beginning, through the filter, up to a marker row."""
        self.database.run(
            "create table marker (id int primary key)",
            f"alter publication {self.database.publication} add table marker",
            f"insert into marker values ({marker})",
        )
        passing = SnapshotFilter(SnapshotProgress.from_json(self.stored))
        source = self.database.source()
        source.start(None)
        batches = read_until(source, lambda got: any(_table(item) == "marker" for item in items_of(got[-1:])))
        source.close()
        for item in items_of(batches):
            for kept in passing.apply(item):
                if isinstance(kept, ChangeEvent) and _table(kept) != "marker":
                    self.apply(kept)

    def apply(self, change: ChangeEvent) -> None:
        relid = change.relation.relid
        if change.op == "t":
            self.clear(relid)
            return
        if change.before is not None:
            old = tuple(change.before[i] for i in change.relation.key_indexes)
            del self.rows[relid, old]  # type: ignore[arg-type]
        if change.after is not None:
            assert change.op == "u" or (relid, change.key) not in self.rows, f"{change} comes twice"
            self.rows[relid, change.key] = tuple(change.after)

    def content(self) -> list[Row]:
        return sorted(self.rows.values(), key=repr)


def _table(item: Item) -> str:
    return item.relation.table if isinstance(item, ChangeEvent) else ""


def source_content(database: Database, query: str) -> list[Row]:
    return sorted((tuple(row) for row in database.run(query)), key=repr)


@contextmanager
def writers(database: Database, count: int = 3) -> Iterator[None]:
    """Sessions that insert, update, delete, move keys and roll back at random, in transactions of several rows."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        choose = random.Random(seed)
        try:
            with psycopg.connect(database.dsn) as connection:
                while not stop.is_set():
                    for _ in range(choose.randint(1, 4)):
                        one, other = choose.randint(1, 6000), choose.randint(1, 6000)
                        connection.execute(
                            choose.choice(
                                [
                                    "insert into item values (%(a)s, 'new') on conflict do nothing",
                                    "update item set name = name || '.' where id = %(a)s",
                                    "delete from item where id = %(a)s",
                                    "update item set id = %(b)s where id = %(a)s "
                                    "and not exists (select from item where id = %(b)s)",
                                ]
                            ),
                            {"a": one, "b": other},
                        )
                    connection.rollback() if choose.random() < 0.2 else connection.commit()
        except (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation):
            write(seed + 1000)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.fixture
def items(database: Database) -> Database:
    database.run(
        "create table item (id int primary key, name text)",
        "alter table item replica identity full",
        "insert into item select i, 'item ' || i from generate_series(1, 4000) i",
    )
    database.publish("public.item")
    install(database.connect())
    database.make_slot()
    return database


@pytest.mark.parametrize("seed", range(3))
def test_writers_and_kills_while_snapshotting_leave_mirror_equal_to_source(items: Database, seed: int) -> None:
    choose = random.Random(seed)
    with writers(items):
        mirror = Mirror(items, "public.item")
        while not SnapshotProgress.from_json(mirror.stored).done:
            mirror.snapshot(stop_after=choose.randint(1, 6))
    assert mirror.reads > 5
    mirror.stream()
    assert mirror.content() == source_content(items, "select id::text, name from item")


def test_a_table_that_is_altered_or_truncated_between_chunks_is_read_anew(items: Database) -> None:
    mirror = Mirror(items, "public.item")
    mirror.snapshot(stop_after=2)
    items.run(
        "insert into item values (9001, 'before')",
        "truncate item",
        "insert into item select i, 'again ' || i from generate_series(1, 4000) i",
    )
    mirror.snapshot(stop_after=2)
    items.run("delete from item where id = 5", "alter table item add column tier int default 1")
    mirror.snapshot()
    items.run("update item set tier = 2 where id = 6")
    mirror.stream()
    assert mirror.content() == source_content(items, "select id::text, name, tier::text from item")


def test_a_renamed_table_is_read_under_its_new_name_and_a_dropped_one_ends(items: Database) -> None:
    items.run("create table other (id int primary key)", f"alter publication {items.publication} add table other")
    mirror = Mirror(items, "public.item", "public.other")
    mirror.snapshot(stop_after=2)
    items.run("alter table item rename to article", "drop table other")
    mirror.snapshot()
    assert SnapshotProgress.from_json(mirror.stored).done
    mirror.stream()
    assert mirror.content() == source_content(items, "select id::text, name from article")


def test_a_commit_that_is_in_the_wal_but_not_yet_visible_is_not_lost(items: Database) -> None:
    """A commit that waits for a standby is in the WAL before the chunk is read, and visible only after."""
    waiting = "select 1 from pg_stat_activity where wait_event = 'SyncRep' and pid = %s"
    with items.connect() as admin, items.connect() as prober, psycopg.connect(items.dsn) as writer:
        done = threading.Event()

        def probe() -> None:
            prober.execute("set synchronous_commit = on")
            while not done.is_set():
                prober.execute("select pg_logical_emit_message(true, 'probe', '')")

        probing, commit = threading.Thread(target=probe), threading.Thread(target=writer.commit)
        admin.execute(f"alter database {items.name} set synchronous_commit = local".encode())
        admin.execute("alter system set synchronous_standby_names = 'nobody'")
        admin.execute("select pg_reload_conf()")
        try:
            probing.start()
            writer.execute("set synchronous_commit = on")
            writer.execute("insert into item values (5000, 'late')")
            writer.execute("update item set name = 'late' where id = 1")
            # Not before the checkpointer has taken over the setting, which is some time after `show` tells it.
            wait_for(lambda: admin.execute(waiting, [prober.info.backend_pid]).fetchone(), "a commit to wait")
            commit.start()
            wait_for(lambda: admin.execute(waiting, [writer.info.backend_pid]).fetchone(), "the commit to wait")
            items.run("update item set name = 'a later commit that is visible' where id = 2")
            assert items.run("select count(*) from item where name = 'late'") == [(0,)]
            mirror = Mirror(items, "public.item")
            mirror.snapshot()
        finally:
            done.set()
            admin.execute("alter system reset synchronous_standby_names")
            admin.execute("select pg_reload_conf()")
            admin.execute(f"alter database {items.name} set synchronous_commit = on".encode())
            probing.join()
        commit.join()
    mirror.stream()
    assert mirror.content() == source_content(items, "select id::text, name from item")
    assert items.run("select count(*) from item where name = 'late'") == [(2,)]


def test_keys_that_python_cannot_order_are_read_in_one_snapshot(items: Database) -> None:
    items.run(
        'create table rate (day date, code text collate "C", value numeric, primary key (day, code))',
        "alter table rate replica identity full",
        "insert into rate select date '2024-01-01' + i, 'EUR', i / 7.0 from generate_series(1, 3000) i",
        f"alter publication {items.publication} add table rate",
    )
    mirror = Mirror(items, "public.rate")
    mirror.snapshot(stop_after=3)
    items.run("delete from rate where day < '2024-02-01'")
    mirror.snapshot()
    items.run("update rate set day = day + 100000 where day > '2030-01-01'")
    mirror.stream()
    assert mirror.content() == source_content(items, "select day::text, code, value::text from rate")
    (table,) = SnapshotProgress.from_json(mirror.stored).tables
    assert len(table.chunks) == 1


def test_composite_text_and_uuid_keys_are_cut_where_python_and_postgres_agree(items: Database) -> None:
    items.run(
        "create table name (word text, number bigint, primary key (word, number))",
        "insert into name select w || i % 7, i from generate_series(-400, 400) i, "
        "unnest(array['a', 'B', 'Zoë', 'z', 'é', '漢', '😀', '', ' ', '''', 'a\\b', E'tab\\t', E'line\\n']) w",
        "create table token (id uuid primary key)",
        "insert into token select gen_random_uuid() from generate_series(1, 5000)",
        "create table nothing (id int primary key)",
        f"alter publication {items.publication} add table name, token, nothing",
    )
    mirror = Mirror(items, "public.name", "public.token", "public.nothing")
    mirror.snapshot()
    items.run("delete from name where number % 3 = 0", "delete from token where id::text > '8'")
    mirror.stream()
    expected = "select word, number::text from name union all select id::text, '-' from token"
    content = sorted((row if len(row) == 2 else (*row, "-") for row in mirror.content()), key=repr)
    assert content == source_content(items, expected)
    progress = SnapshotProgress.from_json(mirror.stored)
    assert [len(table.chunks) > 3 for table in progress.tables] == [True, True, False]


def test_wide_rows_make_smaller_chunks(items: Database) -> None:
    items.run("update item set name = repeat('wide', 500) where id > 1500")
    rows = [
        len(chunk.rows)
        for chunk in read_chunks(items.dsn, begin_snapshot("test", items.dsn, ["public.item"]), chunk_bytes=50_000)
    ]
    assert sum(rows) == 4000
    assert max(rows[2:]) * 2_000 <= 4 * 50_000 + 2_000


def test_the_filter_ends_with_the_last_transaction_a_chunk_can_have_seen(items: Database) -> None:
    mirror = Mirror(items, "public.item")
    items.run("insert into item values (7000, 'seen')")
    mirror.snapshot()
    items.run("insert into item values (7001, 'unseen')")
    passing = SnapshotFilter(SnapshotProgress.from_json(mirror.stored))
    source = items.source()
    source.start(None)
    batches = read_until(source, lambda got: sum(batch.changes for batch in got) == 2)
    over = [passing.is_over(transaction.commit_lsn) for batch in batches for transaction in batch.transactions]
    kept = [list(passing.apply(item)) for item in items_of(batches)]
    assert over == [False, True]
    assert [len(items) for items in kept] == [0, 1]


def test_an_absent_table_is_refused_by_name(items: Database) -> None:
    with pytest.raises(NotPublishable, match=r"public\.absent: there is no such table"):
        begin_snapshot("test", items.dsn, ["public.item", "public.absent"])
