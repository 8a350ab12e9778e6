"""Every type arrives as the server itself writes it, by snapshot and by stream, and lands as the same value."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cdc.catalogue import SESSION_OPTIONS, TableDefinition, read_catalogue
from cdc.events import Value
from cdc.snapshot import begin_snapshot, read_chunks
from headwater.embedded.postgres import Cluster
from tests.cdc.database import Database, read_changes

DATA = Path(os.environ.get("HEADWATER_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CASES = DATA / "debezium" / "pg_type_cases.csv"
# Of a contrib module, and of a PostgreSQL built with libxml: the embedded one has neither.
ABSENT = {"CITEXT", "XML"}

TYPES = """
create type mood as enum ('sad', 'ok', 'it''s, "fine"');
create domain positive as numeric(10,2) check (value > 0);
create domain small_positive as positive check (value < 1000);
create domain tags as text[];
create type address as (street text, number int, tags text[], since timestamptz);
create type person as (name text, home address, moods mood[], rating numeric, born date, active boolean, extra jsonb);
create type float_range as range (subtype = float8);
create table other_table (id int);
"""

OWN_CASES: list[tuple[str, str]] = [
    ("int[]", "'{1,NULL,3}'"),
    ("int[]", "'{}'"),
    ("int[][]", "'{{1,2},{3,4}}'"),
    ("int[]", "'[0:1][-1:0]={{1,2},{3,4}}'"),
    ("text[]", """'{"a,b","c\\"d","e\\\\f",NULL,"NULL",""," "}'"""),
    ("text[][]", "'{{a,b},{c,d}}'"),
    ("numeric(12,4)[]", "'{1.10,NaN,-5}'"),
    ("jsonb[]", """array['{"a": [1, 2]}'::jsonb, 'null']"""),
    ("bytea[]", "array['\\x00ff'::bytea]"),
    ("timestamptz[]", "'{2024-02-29 12:00:00.000001+05,infinity}'"),
    ("int4range", "'[1,10)'"),
    ("int4range", "'empty'"),
    ("numrange", "'(,5.50]'"),
    ("tstzrange", "'[2024-01-01 00:00+02,)'"),
    ("daterange[]", "array['[2024-01-01,2024-02-01)'::daterange]"),
    ("int8multirange", "'{[1,3),[5,9)}'"),
    ("datemultirange", "'{}'"),
    ("float_range", "'[1.5,2.5]'"),
    ("float_multirange", "'{[1.5,2.5],[3,4]}'"),
    ("positive", "12.50"),
    ("small_positive", "1"),
    ("small_positive[]", "'{1,2.50}'"),
    ("tags", "'{a,b}'"),
    ("mood", "'ok'"),
    ("mood[]", "array['sad', 'it''s, \"fine\"']::mood[]"),
    ("address", "row('High \"St\", 5\\', 5, array['a', null, 'b c'], '2024-01-01 00:00+00')"),
    ("address", "row(null, null, null, null)"),
    ("address", "row('', null, '{}', 'infinity')"),
    ("address[]", "array[row('a', 1, '{x}', null)::address, null]"),
    (
        "person",
        "row('Zoë', row('x,y', 2, '{}', null)::address, '{sad,NULL}', 'NaN', '2000-02-29', true, '{\"k\": [1.50]}')",
    ),
    ("bytea", "'\\x00deadbeef00'"),
    ("bytea", "''"),
    ("jsonb", """'{"n": 1.10, "big": 123456789012345678901234567890.5, "u": "\\u00e9", "b": [true, null]}'"""),
    ("json", """'{"a":  1, "a": 2}'"""),
    ("numeric", "'NaN'"),
    ("numeric", "'Infinity'"),
    ("numeric", "'-Infinity'"),
    ("numeric", "0.000000000000000000000000000001"),
    ("numeric", "1e400"),
    ("numeric(19,4)", "922337203685477.5807"),
    ("numeric(38,10)", "-12345678901234567890.1234567890"),
    ("numeric(5,-2)", "12345"),
    ("money", "'-92233720368547758.08'"),
    ("float4", "1.17549435e-38"),
    ("float8", "0.1 + 0.2::float8"),
    ("float8", "'-0'"),
    ("date", "'infinity'"),
    ("date", "'-infinity'"),
    ("date", "'0044-03-15 BC'"),
    ("date", "'5874897-12-31'"),
    ("timestamp", "'-infinity'"),
    ("timestamp(0)", "'2024-01-01 00:00:00.6'"),
    ("timestamptz(3)", "'2024-06-01 12:00:00.1239 Asia/Tokyo'"),
    ("timetz", "'23:59:59.999999-12:34'"),
    ("interval", "'-1 year 2 mons -3 days 04:05:06.000007'"),
    ("interval year to month", "'5 years 3 months'"),
    ("interval day to second(2)", "'1 day 00:00:01.239'"),
    ("char(6)", "'ab'"),
    ("varchar(10)", "'日本語'"),
    ("varchar(10)[]", "'{日本語,b}'"),
    ('"char"', "'x'"),
    ("name", "'some_name'"),
    ("text", "E'tab\\t newline\\n return\\r back\\\\slash \\b quote'' \\\\N'"),
    ("text", "''"),
    ("text", "'😀'"),
    ("bit(5)", "B'10101'"),
    ("varbit", "B''"),
    ("inet", "'192.168.0.1'"),
    ("inet", "'::1/64'"),
    ("cidr", "'10.0.0.0/8'"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("point", "'(1.5,-0)'"),
    ("box", "'(1,1),(0,0)'"),
    ("box[]", "'{(1,1),(0,0);(2,2),(1,1)}'"),
    ("polygon", "'((0,0),(1,1),(2,0))'"),
    ("circle", "'<(1,2),3>'"),
    ("path", "'[(0,0),(1,1)]'"),
    ("line", "'{1,2,3}'"),
    ("lseg", "'[(0,0),(1,1)]'"),
    ("tsvector", "'a:1A fat:2 cat''s:3'::tsvector"),
    ("tsquery", "'fat & (rat | !cat:*A)'"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ("pg_lsn", "'16/B374D848'"),
    ("xid8", "'18446744073709551615'"),
    ("regclass", "'other_table'"),
    ("regtype", "'mood'"),
    ("other_table", "row(7)"),
]


def debezium_cases() -> list[tuple[str, str]]:
    if not CASES.exists():
        return []
    with CASES.open(encoding="utf-8") as file:
        rows = [(row["pg_type"], row["inserted"]) for row in csv.DictReader(file)]
    cases = []
    for pg_type, inserted in dict.fromkeys(rows):
        if pg_type in ABSENT:
            continue
        if inserted == "NULL":
            expression = "null"
        elif "(cast to" in inserted:
            expression = f"B'{inserted.split()[0]}'::{pg_type}"
        else:
            expression = "'" + inserted.replace("'", "''") + "'"
        cases.append((pg_type, expression))
    return cases


def names(cases: list[tuple[str, str]]) -> list[str]:
    return [f"c{number}" for number in range(len(cases))]


def make_table(database: Database, cases: list[tuple[str, str]]) -> None:
    columns = ", ".join(f"c{number} {pg_type}" for number, (pg_type, _) in enumerate(cases))
    database.run(
        TYPES, f"create table sample (id int primary key, {columns})", "alter table sample replica identity full"
    )
    database.publish("public.sample")
    database.make_slot()


def insert_row(database: Database, cases: list[tuple[str, str]]) -> None:
    values = ", ".join(expression for _, expression in cases)
    database.run(f"insert into sample values (1, {values})")


def server_texts(database: Database, expression: str, cases: list[tuple[str, str]]) -> list[Any]:
    """``expression`` of each column, in a session with the stream's settings."""
    with psycopg.connect(database.dsn, options=SESSION_OPTIONS) as connection:
        listed = ", ".join(expression.format(name) for name in names(cases))
        row = connection.execute(f"select {listed} from public.sample".encode()).fetchone()
    assert row is not None
    return list(row)


def described(database: Database) -> TableDefinition:
    (table,) = (found for found in read_catalogue(database.connect(), ["public"]) if found.table == "sample")
    return table


@pytest.fixture(params=["debezium", "own"])
def cases(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    if request.param == "own":
        return OWN_CASES
    found = debezium_cases()
    if not found:
        pytest.skip(f"no test data at {CASES}")
    return found


def test_stream_and_snapshot_give_the_servers_own_text(database: Database, cases: list[tuple[str, str]]) -> None:
    make_table(database, cases)
    insert_row(database, cases)
    # The type's output function; a cast to text would strip blanks from char(n) and add a netmask to inet.
    expected = server_texts(
        database, "case when {0} is not null or {0} is distinct from null then format('%s', {0}) end", cases
    )
    database.run("update sample set id = 2")
    source = database.source()
    source.start(None)
    inserted, updated = read_changes(source, 2)
    assert inserted.after is not None
    assert updated.before is not None
    (chunk,) = read_chunks(database.dsn, begin_snapshot("test", database.dsn, ["public.sample"]))
    assert list(inserted.after)[1:] == expected
    assert list(updated.before)[1:] == expected
    assert chunk.rows[0][1:] == expected
    assert chunk.relation == inserted.relation


def test_values_land_in_the_warehouse_unchanged(
    database: Database, warehouse: Cluster, cases: list[tuple[str, str]]
) -> None:
    make_table(database, cases)
    insert_row(database, cases)
    table = described(database)
    (chunk,) = read_chunks(database.dsn, begin_snapshot("test", database.dsn, ["public.sample"]))
    landed = [convert(table, number, value) for number, value in enumerate(chunk.rows[0])]
    with psycopg.connect(warehouse.dsn(), options=SESSION_OPTIONS) as connection:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.warehouse_type))  # type: ignore[arg-type]
            for column in table.columns
        )
        connection.execute(sql.SQL("create temp table sample ({})").format(columns))
        connection.execute(
            sql.SQL("insert into sample values ({})").format(sql.SQL(", ").join(sql.Literal(value) for value in landed))
        )
        again = connection.execute(
            sql.SQL("select {} from sample").format(
                sql.SQL(", ").join(
                    sql.SQL("case when {0} is not null then format('%s', {0}) end").format(sql.Identifier(column.name))
                    for column in table.columns[1:]
                )
            )
        ).fetchone()
    assert again is not None
    expected = []
    for number, column in enumerate(table.columns[1:]):
        structured = column.shape is not None and column.shape.converter() is not None
        expression = "to_jsonb({})::text" if structured else "format('%s', {})"
        expected.append(server_texts(database, expression, cases)[number] if structured else chunk.rows[0][number + 1])
    assert dict(zip(names(cases), map(in_utc, again), strict=True)) == dict(
        zip(names(cases), map(in_utc, expected), strict=True)
    )


def convert(table: TableDefinition, number: int, value: Value) -> str | None:
    assert isinstance(value, str | None)
    shape = table.columns[number].shape
    converter = shape.converter() if shape is not None else None
    return converter(value) if converter is not None and value is not None else value


def in_utc(text: str | None) -> str | None:
    """``to_jsonb`` writes timestamps in ISO 8601; ours keep PostgreSQL's form, as everywhere in the stream."""
    return text.replace("2024-01-01T00:00:00+00:00", "2024-01-01 00:00:00+00") if text is not None else None


def test_each_kind_of_type_lands_as_the_plan_says(database: Database) -> None:
    expected = {
        "positive": "numeric(10,2)",
        "small_positive": "numeric(10,2)",
        "small_positive[]": "numeric(10,2)[]",
        "tags": "text[]",
        "mood": "text",
        "mood[]": "text[]",
        "address": "jsonb",
        "address[]": "jsonb",
        "float_range": "text",
        "float_multirange": "text",
        "regclass": "text",
        "xml": "text",
        "numrange": "numrange",
        "int8multirange[]": "int8multirange[]",
        "timestamptz(3)": "timestamp(3) with time zone",
        "varchar(10)[]": "character varying(10)[]",
        "char(6)": "character(6)",
        '"char"': '"char"',
        "interval year to month": "interval year to month",
        "other_table": "jsonb",
    }
    columns = ", ".join(f"c{number} {pg_type}" for number, pg_type in enumerate(expected))
    database.run(TYPES, f"create table sample (id int primary key, {columns})")
    table = described(database)
    found = [column.warehouse_type for column in table.columns[1:]]
    assert dict(zip(expected, found, strict=True)) == expected
    assert [column.type_name for column in table.columns[1:4]] == [
        "numeric(10,2)",
        "numeric(10,2)",
        "public.small_positive[]",
    ]


def test_generated_columns_are_left_out_as_the_stream_leaves_them_out(database: Database) -> None:
    database.run(
        "create table sample (id int primary key, twice int generated always as (id * 2) stored, name text)",
        "alter table sample replica identity full",
    )
    database.publish("public.sample")
    database.make_slot()
    database.run("insert into sample (id, name) values (1, 'a')")
    assert [column.name for column in described(database).columns] == ["id", "name"]
    source = database.source()
    source.start(None)
    (change,) = read_changes(source, 1)
    assert change.after == ["1", "a"]
