"""Logging in, staying logged in, and checking tokens while identity is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, override_settings

from policy.tokens import KeyRing, TokenRefused
from tests.cast import Cast, Person, the_cast
from tests.problem import fields, problem
from tests.transactional.identity.test_identity_users import PASSWORD, make_user
from tests.world import World
from transactional.identity import tokens
from transactional.kernel.problems import Absent

TOKEN = "/api/identity/token"


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast("sales_rep")


def send(path: str, payload: Any, **headers: str) -> HttpResponse:
    return Client().post(path, payload, "application/json", headers=headers)


def test_a_login_gives_a_token_that_works_and_a_session_that_renews_it(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD, roles=["auditor"])
    answer = send(TOKEN, {"username": user["username"], "password": PASSWORD})
    login = answer.json()  # type: ignore[attr-defined]
    assert (login["expires_in"], answer.headers["Cache-Control"]) == (600, "no-store")
    renewed = send(f"{TOKEN}/renew", {"session": login["session"]}).json()  # type: ignore[attr-defined]
    for token in (login["token"], renewed["token"]):
        assert Client().get("/api/identity/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert send("/api/identity/logout", {"session": login["session"]}).status_code == 200
    problem(send(f"{TOKEN}/renew", {"session": login["session"]}), 401)


def test_a_sessions_secret_is_not_kept(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD)
    session = tokens.log_in(user["username"], PASSWORD).session
    (kept,) = world.rows("select secret_hash from identity.login_session where user_id = %s", [user["id"]])
    assert session.encode() not in bytes(kept["secret_hash"])


def test_a_wrong_password_and_an_unknown_name_look_the_same(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD)
    wrong = problem(send(TOKEN, {"username": user["username"], "password": "wrong"}), 401)
    unknown = problem(send(TOKEN, {"username": "nobody-at-all", "password": "wrong"}), 401)
    without = make_user(cast.admin)
    unset = problem(send(TOKEN, {"username": without["username"], "password": ""}), 401)
    assert wrong == unknown == unset


def test_too_many_failures_must_wait_even_with_the_right_password(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD)
    for _ in range(tokens.ATTEMPTS):
        problem(send(TOKEN, {"username": user["username"], "password": "wrong"}), 401)
    answer = send(TOKEN, {"username": user["username"], "password": PASSWORD})
    problem(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    other = make_user(cast.admin, password=PASSWORD)
    assert send(TOKEN, {"username": other["username"], "password": PASSWORD}).status_code == 200


def test_logins_leave_a_trace(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD)
    send(TOKEN, {"username": user["username"], "password": "wrong"})
    send(TOKEN, {"username": user["username"], "password": PASSWORD})
    found = world.rows("select kind from identity.access_log where actor_name = %s order by at", [user["username"]])
    assert [row["kind"] for row in found] == ["login_failed", "login"]


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "username"),
        ({"username": "x"}, "password"),
        ({"username": 5, "password": "x"}, "username"),
        ({"username": "a\x00", "password": "x"}, "username"),
        ({"username": "x", "password": "y" * 300}, "password"),
        ({"username": "x", "password": "y", "more": 1}, "more"),
    ],
)
def test_a_bad_login_names_the_field(world: World, payload: dict[str, Any], field: str) -> None:
    assert field in fields(problem(send(TOKEN, payload), 422))


def test_the_command_line_gets_a_token_for_active_users_only(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["auditor"])
    token = tokens.issue_for(user["username"])
    assert Client().get("/api/identity/users", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    cast.admin.post(f"/api/identity/users/{user['id']}/deactivate")
    with pytest.raises(Absent):
        tokens.issue_for(user["username"])
    with pytest.raises(Absent):
        tokens.issue_for("nobody-at-all")


def test_a_rotated_key_is_followed_and_its_tokens_last_out(world: World, cast: Cast) -> None:
    ring = KeyRing(settings.HEADWATER_JWKS)
    before = cast.alice.token
    tokens.rotate()
    after = cast.alice.token
    assert ring.verify(before) == ring.verify(after) or ring.verify(before).user_id == cast.alice.id
    published = json.loads(Client().get("/api/identity/keys").content)["keys"]
    assert {key["kid"] for key in published} == set(ring.keys())
    assert all("d" not in key for key in published)

    with world.superuser() as connection:
        connection.execute(
            "update identity.signing_key set retired_at = now() - interval '2 days' where retired_at is not null"
        )
    tokens.publish_keys(settings.HEADWATER_JWKS)
    with pytest.raises(TokenRefused):
        ring.verify(before)
    assert ring.verify(after).user_id == cast.alice.id


def test_a_key_that_cannot_be_published_does_not_sign(cast: Cast, tmp_path: Path) -> None:
    in_the_way = tmp_path / "keys"
    in_the_way.touch()
    with override_settings(HEADWATER_JWKS=in_the_way / "jwks.json"), pytest.raises(OSError, match="keys"):
        tokens.rotate()
    assert KeyRing(settings.HEADWATER_JWKS).verify(cast.alice.token).user_id == cast.alice.id


def test_tokens_are_checked_with_identity_down(world: World, cast: Cast) -> None:
    """The other services need identity's file of keys, not identity."""
    token = cast.alice.token
    with world.superuser() as connection:
        connection.execute("alter schema identity rename to identity_gone")
        try:
            headers = {"Authorization": f"Bearer {token}"}
            assert Client().get("/api/shelf/accounts", headers=headers).status_code == 403
            assert Client().get("/api/shelf/accounts").status_code == 401
        finally:
            connection.execute("alter schema identity_gone rename to identity")


def test_a_service_acts_on_somebodys_behalf(world: World, cast: Cast) -> None:
    service = make_user(cast.admin, roles=["service"])
    person = make_user(cast.admin)
    own = tokens.issue_for(service["username"])
    answer = send(f"{TOKEN}/behalf", {"on_behalf_of": person["id"]}, Authorization=f"Bearer {own}")
    found = KeyRing(settings.HEADWATER_JWKS).verify(answer.json()["token"])  # type: ignore[attr-defined]
    assert (str(found.user_id), str(found.on_behalf_of)) == (service["id"], person["id"])
    refused = send(f"{TOKEN}/behalf", {"on_behalf_of": person["id"]}, Authorization=f"Bearer {cast.alice.token}")
    problem(refused, 403)


def test_the_private_key_is_nowhere_but_in_its_table(world: World, cast: Cast) -> None:
    secret = tokens.signing_key().private_key.splitlines()[1]
    assert secret not in settings.HEADWATER_JWKS.read_text()
    assert secret.encode() not in Client().get("/api/identity/keys").content
    assert secret not in str(world.outbox("identity"))


def test_health_names_what_does_not_answer(world: World, cast: Cast) -> None:
    from django.db import connections

    assert Client().get("/healthz").status_code == 200
    settings_of_shelf = connections.settings["shelf"]
    connections["shelf"].close()
    real, settings_of_shelf["PORT"] = settings_of_shelf["PORT"], 1
    try:
        answer = Client().get("/healthz")
        assert answer.status_code == 503
        assert set(answer.json()["silent"]) == {"shelf"}
        problem(Person(cast.admin.principal).get("/api/shelf/books"), 503)
    finally:
        settings_of_shelf["PORT"] = real
        connections["shelf"].close()
