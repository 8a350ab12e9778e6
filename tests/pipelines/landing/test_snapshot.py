"""The initial load joins the stream exactly, whatever is written, altered or killed while it reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pipelines.landing import worker
from tests.pipelines.landing.stage import Stage

ITEM = """
create schema stock;
create table stock.item (id int primary key, name text, note text);
alter table stock.item replica identity full;
create table stock.outbox (id int primary key, payload jsonb);
insert into stock.item select n * 10, 'item ' || n, repeat('x', 100) from generate_series(1, 20000) n;
insert into stock.outbox values (1, '{"a": 1}')
"""


@contextmanager
def written_to(stage: Stage) -> Iterator[None]:
    """Inserts, updates, deletes and key updates that cross chunks, from two sessions, until the block ends."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(offset: int) -> None:
        try:
            with psycopg.connect(stage.database.dsn, autocommit=True) as connection:
                number = offset
                while not stop.is_set():
                    number += 7
                    place = number * 7919 % 200_000
                    connection.execute(
                        f"begin; insert into stock.item values ({-number}, 'new', null);"
                        f" update stock.item set name = name || '!' where id = {place // 10 * 10};"
                        f" delete from stock.item where id = {(place + 50_000) % 200_000 // 10 * 10};"
                        f" update stock.item set id = 10000000 + id where id = {(place + 90_000) % 200_000 // 10 * 10};"
                        f" update stock.item set id = {place // 10 * 10 + offset} where id = {-number + 70};"
                        " commit".encode()
                    )
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=[offset]) for offset in (1, 2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures


def test_an_initial_load_under_writes_joins_the_stream(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item", "stock.outbox"))
    with written_to(stage):
        stage.streaming()
    stage.settled()
    stage.assert_equal("stock.item")
    stage.assert_each_change_once()
    assert stage.target.run("select key, after from log.change_log where table_name = 'outbox' and op = 'r'") == [
        ({"id": "1"}, {"id": "1", "payload": '{"a": 1}'})
    ]


def test_a_change_log_replayed_from_nothing_gives_the_source(stage: Stage) -> None:
    """Snapshot rows first, then changes in order: what somebody who has only the change log would know."""
    stage.prepare(ITEM, publish=("stock.item",))
    with written_to(stage):
        stage.streaming()
    stage.settled()
    known: dict[str, str] = {}
    for op, before, after in stage.target.run(
        "select op::text, before, after from log.change_log where table_name = 'item'"
        " order by op <> 'r', committed_at, lsn, seq"
    ):
        if before is not None:
            known.pop(before["id"], None)
        if op != "d":
            known[after["id"]] = after["name"]
    assert known == dict(stage.database.run("select id::text, name from stock.item"))


@pytest.mark.parametrize(
    "statement",
    [
        "truncate stock.item",
        "alter table stock.item add column extra int default 7",
        "alter table stock.item alter name type text[] using array[name]",
        "drop table stock.item",
        "alter table stock.item rename to article",
    ],
)
def test_a_table_altered_while_it_is_read(stage: Stage, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.prepare(ITEM, publish=("stock.item", "stock.outbox"))
    chunks = worker.read_chunks

    def interrupted(*given: object, **options: object) -> Iterator[object]:
        for number, chunk in enumerate(chunks(*given, chunk_bytes=100_000, **options)):  # type: ignore[arg-type]
            if number == 2:
                stage.database.run(statement)
            yield chunk

    monkeypatch.setattr(worker, "read_chunks", interrupted)
    stage.streaming()
    stage.settled()
    if statement.startswith("drop"):
        assert stage.target.run("select count(*) from raw_stock.item where not _deleted") == [(0,)]
        return
    table = "stock.article" if "rename" in statement else "stock.item"
    stage.database.run(f"insert into {table} (id) values (-5)", f"delete from {table} where id = 500")
    stage.settled()
    stage.assert_equal(
        table,
    )
    stage.assert_each_change_once()


def test_every_type_stands_in_the_mirror_as_it_stands_in_the_source(stage: Stage) -> None:
    values = {
        "numeric(19,4)": "12.5000",
        "numeric": "NaN",
        "numeric(30,2)": "NaN",
        "double precision": "0.1",
        "real": "-Infinity",
        "bigint": "-9223372036854775808",
        "boolean": "t",
        "text": "tab\t, line\n, quote \", backslash \\, 'single', ünïcödé 🙂, \\N",
        "char(5)": "ab",
        '"char"': "x",
        "varchar(10)": "",
        "bytea": "\\\\x00ff\\\\x",
        "date": "infinity",
        "timestamp(3)": "0044-03-15 12:00:00.123 BC",
        "timestamptz": "2026-03-29 02:30:00.123456+02",
        "time": "24:00:00",
        "timetz": "12:00:00+05:30",
        "interval": "-1 year 2 mons -3 days 04:05:06.789",
        "uuid": "00000000-0000-7000-8000-000000000001",
        "jsonb": '{"a": [1, null, "\\u00e9"]}',
        "json": '{"b":1,  "a":2, "a":3}',
        "int[]": "{{1,2},{3,NULL}}",
        "text[]": '{"a,b","c\\"d",NULL,"NULL",""}',
        "numeric(6,2)[]": "[0:1]={1.50,NaN}",
        "int4range": "[1,10)",
        "tstzmultirange": "{}",
        "inet": "10.0.0.0/8",
        "macaddr": "08:00:2b:01:02:03",
        "bit(4)": "1010",
        "varbit(8)": "101",
        "point": "(1.5,-2)",
        "tsvector": "'a':1 'b':2A",
        "oid": "4294967295",
        "pg_lsn": "16/B374D848",
        "own.mood": "sehr gut",
        "own.amount": "12.50",
        "regclass": "pg_class",
    }
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(values))
    stage.prepare(
        "create schema own",
        "create type own.mood as enum ('gut', 'sehr gut')",
        "create domain own.amount as numeric(12,2) check (value > 0)",
        "create type own.place as (city text, at point, tags text[])",
        f"create table own.thing (id int primary key, {columns}, place own.place, places own.place[])",
        "alter table own.thing replica identity full",
        publish=("own.thing",),
    )
    place = "row('Köln, \"am\" Rhein', '(1,2)', '{a,NULL}')"

    def insert(number: int) -> None:
        with psycopg.connect(stage.database.dsn, autocommit=True) as connection:
            marks = ", ".join(["%s"] * len(values))
            statement = f"insert into own.thing values ({number}, {marks}, {place}, array[{place}, null]::own.place[])"
            given = [v.replace("\\\\x00ff\\\\x", "\\x00ff") for v in values.values()]
            connection.execute(statement.encode(), given)

    insert(1)  # comes by the snapshot
    stage.streaming()
    insert(2)  # comes by the stream
    stage.database.run("insert into own.thing (id) values (3)")
    stage.caught_up()
    names = ", ".join(f"c{n}" for n in range(len(values)))
    here = stage.database.run(f"select id, row({names})::text from own.thing order by id")
    there = stage.target.run(f"select id, row({names})::text from raw_own.thing order by id")
    assert there == here
    places = stage.target.run(
        "select distinct place ->> 'city', place -> 'tags', places -> 1 from raw_own.thing where id < 3"
    )
    assert places == [('Köln, "am" Rhein', ["a", None], None)]
    assert stage.target.run("select count(*) from log.parked") == [(0,)]
