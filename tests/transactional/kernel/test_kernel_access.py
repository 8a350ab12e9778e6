"""Who may: tokens, permissions and row scope, and the trace that a refusal leaves."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from uuid_utils.compat import uuid7

from policy.tokens import sign
from tests.cast import Cast, Person
from tests.problem import fields, problem
from tests.transactional.kernel.books import BOOKS, NewBook, new_isbn
from tests.world import World
from transactional.identity.tokens import signed, signing_key


def status_with(token: str | None) -> int:
    return Client().get(BOOKS, headers={"Authorization": f"Bearer {token}"} if token else {}).status_code


def test_alice_may_bob_lacks_the_role_charlie_learns_nothing(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    where = f"{BOOKS}/{book['id']}"

    assert cast.alice.get(where).status_code == 200
    problem(cast.bob.get(where), 403)
    problem(cast.bob.post(f"{where}/publish"), 403)
    problem(cast.bob.post(BOOKS, {"title": "Mine", "isbn": new_isbn()}), 403)

    hidden, absent = cast.charlie.get(where), cast.charlie.get(f"{BOOKS}/{uuid4()}")
    assert {**problem(hidden, 404), "detail": "", "instance": ""} == {
        **problem(absent, 404),
        "detail": "",
        "instance": "",
    }
    problem(cast.charlie.post(f"{where}/publish"), 404)
    assert cast.charlie.get(BOOKS).json()["items"] == []
    assert cast.alice.get(where).json()["status"] == "draft"


def test_refusals_are_in_the_access_log(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    cast.bob.post(f"{BOOKS}/{book['id']}/publish")
    cast.charlie.post(f"{BOOKS}/{book['id']}/publish")
    cast.charlie.post(f"{BOOKS}/{uuid4()}/publish")

    found = world.rows(
        "select actor_name, action, resource_id, detail from shelf.access_log"
        " where kind = 'refused' and actor_id = any(%s) order by at",
        [[cast.bob.id, cast.charlie.id]],
    )
    assert [(row["actor_name"], row["action"], row["detail"]) for row in found] == [
        (cast.bob.principal.name, "shelf.publish_book", "no permission"),
        (cast.charlie.principal.name, "shelf.publish_book", "out of scope"),
    ]
    assert found[1]["resource_id"] == book["id"]


def test_reading_personal_data_is_logged(world: World, cast: Cast, new_book: NewBook) -> None:
    book = new_book(cast.alice)
    cast.alice.get(f"{BOOKS}/{book['id']}")
    found = world.rows("select * from shelf.access_log where kind = 'read' and resource_id = %s", [book["id"]])
    assert [row["actor_id"] for row in found] == [cast.alice.id]


def test_a_row_is_not_created_where_its_creator_could_not_see_it(world: World, cast: Cast) -> None:
    before = world.count("shelf.book")
    theirs = {"owner_id": cast.charlie.id, "team_id": cast.charlie.team_id, "territory_id": cast.charlie.territory_id}
    body = problem(cast.alice.post(BOOKS, {"title": "Dune", "isbn": new_isbn()} | theirs), 403)
    assert fields(body) == {"owner_id", "team_id", "territory_id"}
    assert world.count("shelf.book") == before
    assert cast.admin.post(BOOKS, {"title": "Dune", "isbn": new_isbn()} | theirs).status_code == 201


def test_rights_of_several_roles_add_up_only_where_each_grants_the_permission(
    world: World, cast: Cast, new_book: NewBook
) -> None:
    """An auditor reads every row; being a librarian too does not let her change every row."""
    book = new_book(cast.charlie)
    both = Person(replace(cast.alice.principal, roles=frozenset({"librarian", "auditor"})))
    assert both.get(f"{BOOKS}/{book['id']}").status_code == 200
    problem(both.post(f"{BOOKS}/{book['id']}/publish"), 404)
    assert both.get(f"{BOOKS}/{book['id']}").json()["allowed_actions"] == []


def test_a_token_is_needed(world: World) -> None:
    answer = Client().get(BOOKS)
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert Client().get(BOOKS, headers={"Authorization": "Basic YTpi"}).status_code == 401


def test_a_forged_token_is_refused(world: World, cast: Cast) -> None:
    forged = sign(cast.admin.principal, Ed25519PrivateKey.generate(), signing_key().kid, token_id=uuid7())
    assert status_with(forged) == 401
    assert status_with(sign(cast.admin.principal, Ed25519PrivateKey.generate(), "mine", token_id=uuid7())) == 401
    head, _, signature = cast.alice.token.split(".")
    other = cast.admin.token.split(".")[1]
    assert status_with(f"{head}.{other}.{signature}") == 401
    unsigned = jwt.encode(jwt.decode(cast.admin.token, options={"verify_signature": False}), "", algorithm="none")
    assert status_with(unsigned) == 401
    assert status_with("nonsense") == 401
    assert status_with(cast.alice.token) == 200


def test_an_expired_token_is_refused(world: World, cast: Cast) -> None:
    assert status_with(signed(cast.alice.principal, now=time.time() - 580)) == 200
    assert status_with(signed(cast.alice.principal, now=time.time() - 620)) == 401


@pytest.mark.parametrize("role", ["unknown", ""])
def test_an_unknown_role_grants_nothing(world: World, cast: Cast, role: str) -> None:
    stranger = Person(replace(cast.alice.principal, roles=frozenset({role})))
    problem(stranger.get(BOOKS), 403)
