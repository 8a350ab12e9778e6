"""What a client may get wrong: always a 4xx with problem details that name the field, and nothing is written."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.cast import Cast
from tests.problem import fields, problem
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World
from transactional.kernel.dberrors import problem_of


@pytest.mark.parametrize(
    "body", [b"{", b"[1, 2", b"nonsense", b'{"title": "\xff"}', b'{"title": "\\ud800"}', b"[" * 5000, b'{"pages": NaN}']
)
def test_malformed_json_is_refused(world: World, cast: Cast, body: bytes) -> None:
    assert problem(cast.alice.post(BOOKS, body), 400)["type"].endswith(":malformed")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null"])
def test_json_that_is_no_object_is_refused(world: World, cast: Cast, body: bytes) -> None:
    problem(cast.alice.post(BOOKS, body), 400)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"title": None}, "title"),
        ({"title": 5}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"custom": {"deep": {"note": "\x00"}}}, "custom.deep.note"),
        ({"custom": {"\x00": 1}}, "custom"),
        ({"isbn": "letters"}, "isbn"),
        ({"pages": "5"}, "pages"),
        ({"pages": 1.5}, "pages"),
        ({"pages": True}, "pages"),
        ({"pages": 2**31}, "pages"),
        ({"pages": 10**30}, "pages"),
        ({"price": "many"}, "price"),
        ({"price": "1.23456"}, "price"),
        ({"price": "1e30"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": -1}, "price"),
        ({"genre": "poem"}, "genre"),
        ({"sequel_of_id": "not-a-uuid"}, "sequel_of_id"),
        ({"sequel_of_id": str(uuid4())}, "sequel_of_id"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(
    world: World, cast: Cast, values: dict[str, Any], field: str
) -> None:
    before = world.count("shelf.book")
    body = problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()} | values), 422)
    assert fields(body) == {field}
    assert world.count("shelf.book") == before


def test_every_bad_field_is_named_at_once(world: World, cast: Cast) -> None:
    assert fields(problem(cast.alice.post(BOOKS, {"pages": "x", "genre": "poem"}), 422)) == {
        "title",
        "isbn",
        "pages",
        "genre",
    }


def test_a_declared_constraint_speaks_its_own_sentence(world: World, cast: Cast) -> None:
    body = problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn(), "price": "-1"}), 422)
    assert body["detail"] == "A price cannot be negative."


def test_what_only_the_database_knows_is_refused_too(world: World, cast: Cast) -> None:
    """The column is an integer, the command does not say so."""
    problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn(), "weight": 10**15}), 422)


def test_a_taken_key_is_a_conflict(world: World, cast: Cast, new_book: NewBook) -> None:
    taken = new_book(cast.alice)["isbn"]
    assert fields(problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": taken}), 409)) == {"isbn"}


def test_json_nested_too_deeply_is_refused(world: World, cast: Cast) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    body = problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": "1", "custom": {"deep": deep}}), 422)
    assert body["errors"][0]["code"] == "too_deep"


def test_another_media_type_is_refused(world: World, cast: Cast) -> None:
    problem(cast.alice.post(BOOKS, b"title=Dune", **{"Content-Type": "application/x-www-form-urlencoded"}), 415)


def test_a_body_beyond_the_limit_is_refused(world: World, cast: Cast) -> None:
    problem(cast.alice.post(BOOKS, b'{"title": "' + b"x" * (33 * 1024 * 1024) + b'"}'), 413)


def test_unknown_addresses_and_methods(world: World, cast: Cast, new_book: NewBook) -> None:
    problem(cast.alice.get("/api/shelf/nothing"), 404)
    problem(cast.alice.get("/api/nowhere"), 404)
    nowhere = cast.alice.get("/nowhere")  # below /api/ programs ask, elsewhere people
    assert (nowhere.status_code, nowhere.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    answer = cast.alice.post(f"{BOOKS}/{new_book(cast.alice)['id']}")
    problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("key", ["not-a-uuid", "%00", "01900000-0000-7000-8000-000000000000"])
def test_an_unknown_id_is_absent(world: World, cast: Cast, key: str) -> None:
    problem(cast.alice.get(f"{BOOKS}/{key}"), 404)
    problem(cast.alice.post(f"{BOOKS}/{key}/publish"), 404)


def test_the_body_may_not_name_another_target_than_the_path(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    assert fields(problem(cast.alice.post(f"{BOOKS}/{book['id']}/publish", {"id": str(uuid4())}), 422)) == {"id"}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("If-Match", "five"),
        ("If-Match", '"-1"'),
        ("If-Match", '"1"'),  # a creation has no version to match
        ("Idempotency-Key", "x" * 201),
        ("Idempotency-Key", "\x07"),
        ("Request-Id", "not-a-uuid"),
        ("Headwater-Reason", "x" * 501),
    ],
)
def test_a_bad_header_is_named(world: World, cast: Cast, header: str, value: str) -> None:
    answer = cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()}, **{header: value})
    assert fields(problem(answer, 422)) == {header}


@pytest.mark.parametrize(
    ("table", "change", "field"),
    [
        ("identity.team", "parent_id = id", "parent_id"),
        ("contacts.account_relationship", "to_account = from_account", "from_account"),
        ("contacts.account", "annual_revenue = -1", "annual_revenue"),
    ],
)
def test_a_refusal_of_the_database_names_the_field_as_commands_do(
    world: World, cast: Cast, table: str, change: str, field: str
) -> None:
    """A foreign key goes by its column, whatever Django calls it."""
    admin = cast.admin
    team = admin.post("/api/identity/teams", {"name": f"Team {uuid4()}"})
    one, other = (admin.post("/api/contacts/accounts", {"name": "Acme"}).json()["account_uuid"] for _ in range(2))
    related = admin.post(f"/api/contacts/accounts/{one}/relate", {"to_account": other, "kind": "reseller"})
    assert (team.status_code, related.status_code) == (201, 200)
    with world.superuser() as superuser, pytest.raises(psycopg.errors.CheckViolation) as refused:
        superuser.execute(f"update {table} set {change}".encode())
    found = problem_of(refused.value)
    assert found is not None
    assert [error.field for error in found.errors] == [field]
