"""Bulk commands: one transaction, a verdict per row, safe to send again."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from cdc import row_records
from cdc.slots import create_slot, drop_slot
from headwater.provision.names import KAFKA
from headwater.provision.oltp import published_tables
from tests.cast import Cast, Person
from tests.problem import fields, problem
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World
from transactional.kernel.calls import execute

BULK = f"{BOOKS}/bulk"


def book(**values: Any) -> dict[str, Any]:
    return {"title": "Dune", "isbn": new_isbn()} | values


def keyed(source: str, key: str, **values: Any) -> dict[str, Any]:
    return {"key": {"source": source, "key": key}, "data": book(**values)}


def send(person: Person, *rows: Any, **options: Any) -> dict[str, Any]:
    answer = person.post(BULK, {"rows": rows}, **options)
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def statuses(found: dict[str, Any]) -> list[str]:
    assert [verdict["index"] for verdict in found["verdicts"]] == list(range(len(found["verdicts"])))
    return [verdict["status"] for verdict in found["verdicts"]]


def test_good_rows_are_written_and_bad_ones_named(world: World, cast: Cast, new_book: NewBook) -> None:
    taken = new_book(cast.alice)["isbn"]
    same = new_isbn()
    found = send(
        cast.alice,
        {"data": book(custom={"shelf": "A"}, price="12.5000")},
        {"data": book(pages="many")},  # refused by validation
        {"data": book(title="Mein Traum")},  # refused by the command
        {"data": book(isbn=taken)},  # refused by the database, against a row that was there
        {"data": book(isbn=same)},
        {"data": book(isbn=same)},  # refused by the database, against a row of the same request
        {"data": book(price="-1")},
        "nonsense",
        {"data": book()},
    )
    assert statuses(found) == [
        "created",
        "rejected",
        "rejected",
        "rejected",
        "created",
        "rejected",
        "rejected",
        "rejected",
        "created",
    ]
    assert (found["created"], found["exists"], found["rejected"]) == (3, 0, 6)
    named = [error["field"] for verdict in found["verdicts"] for error in verdict["errors"]]
    assert named == [
        "rows.1.data.pages",
        "rows.2.data.title",
        "rows.3.data.isbn",
        "rows.5.data.isbn",
        "rows.6.data.price",
        "rows.7",
    ]
    first = cast.alice.get(f"{BOOKS}/{found['verdicts'][0]['id']}").json()
    assert (first["price"], first["custom"], first["owner_id"]) == ("12.5000", {"shelf": "A"}, str(cast.alice.id))


def test_each_created_row_and_no_other_has_its_event(world: World, cast: Cast) -> None:
    before = len(world.outbox("shelf"))
    found = send(cast.alice, *({"data": book(price="-1" if n % 7 == 3 else "1")} for n in range(50)))
    made = [verdict["id"] for verdict in found["verdicts"] if verdict["status"] == "created"]
    events = world.outbox("shelf")[before:]
    assert sorted(str(event["aggregate_id"]) for event in events) == sorted(made)
    assert len(made) == 43


def test_a_row_that_was_imported_before_is_found_not_made(world: World, cast: Cast) -> None:
    rows = [keyed("old system", f"book/{n}") for n in range(30)]
    first = send(cast.alice, *rows)
    assert set(statuses(first)) == {"created"}
    again = send(cast.alice, *rows, keyed("old system", "book/30"), keyed("other system", "book/0"))
    assert statuses(again) == ["exists"] * 30 + ["created"] * 2
    assert [v["id"] for v in again["verdicts"][:30]] == [v["id"] for v in first["verdicts"]]


def test_a_key_may_stand_once_in_a_request(world: World, cast: Cast) -> None:
    found = send(cast.alice, keyed("twice", "1"), keyed("twice", "1"))
    assert statuses(found) == ["created", "rejected"]
    assert found["verdicts"][1]["errors"][0]["field"] == "rows.1.key"


def test_a_bulk_command_under_a_key_acts_once(world: World, cast: Cast) -> None:
    rows = [{"data": book()} for _ in range(3)]
    before = world.count("shelf.book")
    assert send(cast.alice, *rows, key="bulk") == send(cast.alice, *rows, key="bulk")
    assert world.count("shelf.book") == before + 3


def test_rows_outside_of_the_callers_scope_are_rejected_one_by_one(world: World, cast: Cast) -> None:
    theirs = {"owner_id": cast.charlie.id, "team_id": cast.charlie.team_id, "territory_id": cast.charlie.territory_id}
    found = send(cast.alice, {"data": book()}, {"data": book(**theirs)}, {"data": book()})
    assert statuses(found) == ["created", "rejected", "created"]
    assert found["verdicts"][1]["errors"][0]["code"] == "out_of_scope"


def test_a_foreign_key_is_checked_before_the_verdict(world: World, cast: Cast, new_book: NewBook) -> None:
    """Foreign keys are deferred to the commit; a bulk command knows earlier."""
    parent = new_book(cast.alice)["id"]
    found = send(
        cast.alice,
        {"data": book(sequel_of_id=parent)},
        {"data": book(sequel_of_id="01900000-0000-7000-8000-000000000000")},
    )
    assert statuses(found) == ["created", "rejected"]
    assert found["verdicts"][1]["errors"][0]["field"] == "rows.1.data.sequel_of_id"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "rows"),
        ({"rows": []}, "rows"),
        ({"rows": "text"}, "rows"),
        ({"rows": [{}] * 5001}, "rows"),
        ({"rows": [{}], "more": 1}, "more"),
    ],
)
def test_a_request_without_usable_rows_is_refused(
    world: World, cast: Cast, payload: dict[str, Any], field: str
) -> None:
    assert fields(problem(cast.alice.post(BULK, payload), 422)) == {field}


@pytest.mark.parametrize("key", [{}, {"source": "a"}, {"source": "a", "key": ""}, {"source": "a", "key": "\x00"}, 5])
def test_a_malformed_key_is_named(world: World, cast: Cast, key: Any) -> None:
    found = send(cast.alice, {"key": key, "data": book()})
    assert found["rejected"] == 1
    assert found["verdicts"][0]["errors"][0]["field"].startswith("rows.0.key")


def test_bob_may_not(world: World, cast: Cast) -> None:
    problem(cast.bob.post(BULK, {"rows": [{"data": book()}]}), 403)


def test_many_rows_are_few_statements(world: World, cast: Cast) -> None:
    """The cost of an import is its rows, not its round trips."""
    statements: list[str] = []

    def count(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        statements.append(statement)
        return execute(statement, parameters, many, context)

    rows = [{"data": book()} for _ in range(2000)]
    with connections["shelf"].execute_wrapper(count):
        assert execute("shelf.create_books", {"rows": rows}, cast.alice.ctx()).data["created"] == 2000
    assert len(statements) <= 8, statements


def test_each_row_is_a_record_of_the_log_of_its_own(world: World, cast: Cast) -> None:
    """The rows of one COPY would share LSNs, by which Debezium notes how far it has come."""
    dsn = world.cluster.dsn(world.database)
    create_slot(dsn, "bulk_records")
    try:
        found = send(cast.alice, *(keyed("records", str(n)) for n in range(200)))
        assert found["created"] == 200
        with world.superuser() as superuser:
            superuser.execute("checkpoint")
        changes = world.rows(
            "select count(*) as n, count(distinct lsn) as lsns from pg_logical_slot_peek_binary_changes("
            "'bulk_records', null, null, 'proto_version', '1', 'publication_names', %s)"
            " where get_byte(data, 0) = ascii('I')",
            [KAFKA],
        )
    finally:
        drop_slot(dsn, "bulk_records")
    assert changes[0]["n"] == changes[0]["lsns"] >= 3 * 200  # rows, their events, their references


def test_every_table_that_is_streamed_has_the_trigger_for_it(world: World) -> None:
    streamed = {table for service in settings.HEADWATER_SERVICES for table in published_tables(service)}
    made = world.rows("select tgrelid::regclass::text as name from pg_trigger where tgname = %s", [row_records.NAME])
    assert {row["name"].replace('"', "") for row in made} == streamed
