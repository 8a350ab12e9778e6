"""Users: who may make and change them, what they get, and how their rights end everywhere."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from policy.tokens import KeyRing
from tests.cast import Cast, Person, the_cast
from tests.problem import fields, problem
from tests.world import World
from transactional.identity import tokens
from transactional.identity.models import UserAccount
from transactional.kernel import revocation

USERS = "/api/identity/users"
PASSWORD = "correct horse battery"
NOBODY = "01900000-0000-7000-8000-000000000000"
_numbers = itertools.count(1)


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast("hr_officer")


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks for revocations itself, so that tests need not wait."""
    monkeypatch.setattr(revocation, "CACHED_SECONDS", 0.0)


def make_user(admin: Person, **values: Any) -> dict[str, Any]:
    answer = admin.post(USERS, {"username": f"user{next(_numbers)}", "display_name": "Somebody"} | values)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def bearer(user: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue(UserAccount.objects.get(pk=user['id']))}"}


def test_who_may(world: World, cast: Cast) -> None:
    user = make_user(cast.admin)
    where = f"{USERS}/{user['id']}"
    problem(cast.alice.post(USERS, {"username": "x", "display_name": "X"}), 403)
    assert cast.alice.post(f"{where}/update", {"display_name": "New Name"}).json()["display_name"] == "New Name"
    problem(cast.alice.post(f"{where}/assign-role", {"role": "admin"}), 403)
    problem(cast.bob.post(f"{where}/update", {"display_name": "x"}), 403)
    problem(cast.bob.get(where), 403)
    # Colleagues are no secret: the directory has no territories.
    assert cast.charlie.get(where).status_code == 200


def test_a_user_has_roles_of_their_own_and_of_their_groups(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["sales_rep"])
    group = cast.admin.post("/api/identity/groups", {"name": "Readers", "roles": ["auditor", "analyst"]}).json()
    cast.admin.post(f"/api/identity/groups/{group['id']}/add-member", {"user_id": user["id"]})
    where = f"{USERS}/{user['id']}"
    assert cast.admin.get(where).json()["roles"] == ["analyst", "auditor", "sales_rep"]
    cast.admin.post(f"/api/identity/groups/{group['id']}/update", {"roles": ["auditor"]})
    assert cast.admin.get(where).json()["roles"] == ["auditor", "sales_rep"]
    cast.admin.post(f"{where}/withdraw-role", {"role": "sales_rep"})
    cast.admin.post(f"/api/identity/groups/{group['id']}/remove-member", {"user_id": user["id"]})
    assert cast.admin.get(where).json()["roles"] == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"username": "Has Spaces"}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"roles": ["emperor"]}, "roles"),
        ({"team_id": NOBODY}, "team_id"),
        ({"territory_ids": [NOBODY]}, "territory_ids"),
    ],
)
def test_a_bad_user_is_refused_with_the_field(world: World, cast: Cast, values: dict[str, Any], field: str) -> None:
    before = world.count("identity.user_account")
    answer = cast.admin.post(USERS, {"username": f"bad{next(_numbers)}", "display_name": "X"} | values)
    assert {name.partition(".")[0] for name in fields(problem(answer, 422))} == {field}
    assert world.count("identity.user_account") == before


def test_a_username_is_taken_once(world: World, cast: Cast) -> None:
    user = make_user(cast.admin)
    taken = cast.admin.post(USERS, {"username": user["username"], "display_name": "X"})
    body = problem(taken, 409)
    assert (fields(body), body["detail"]) == ({"username"}, "The username is taken.")


def test_passwords_are_hashed_and_never_shown_or_streamed(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, password=PASSWORD)
    assert "password" not in cast.admin.get(f"{USERS}/{user['id']}").json()
    (kept,) = world.rows("select password from identity.credential where user_id = %s", [user["id"]])
    assert PASSWORD not in kept["password"]
    assert PASSWORD not in str(world.outbox("identity"))


def test_a_change_of_rights_ends_older_tokens_at_every_service(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["admin"])
    old = bearer(user)
    assert Client().get("/api/shelf/books", headers=old).status_code == 200

    cast.admin.post(f"{USERS}/{user['id']}/withdraw-role", {"role": "admin"})
    assert Client().get("/api/shelf/books", headers=old).status_code == 200  # the stream has not told shelf yet
    world.settle()
    problem(Client().get("/api/shelf/books", headers=old), 401)
    problem(Client().get(USERS, headers=old), 401)
    # A new token works at once, with the rights of now.
    problem(Client().get("/api/shelf/books", headers=bearer(user)), 403)


def test_revoking_ends_tokens_and_sessions(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["auditor"], password=PASSWORD)
    login = tokens.log_in(user["username"], PASSWORD)
    cast.admin.post(f"{USERS}/{user['id']}/revoke-tokens")
    world.settle()
    problem(Client().get(USERS, headers={"Authorization": f"Bearer {login.token}"}), 401)
    problem(Client().post("/api/identity/token/renew", {"session": login.session}, "application/json"), 401)


def test_deactivating_lets_nobody_in_and_keeps_the_user(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["auditor"], password=PASSWORD)
    where = f"{USERS}/{user['id']}"
    old = bearer(user)
    assert cast.admin.post(f"{where}/deactivate").json()["is_active"] is False
    world.settle()
    problem(Client().get(USERS, headers=old), 401)
    credentials = {"username": user["username"], "password": PASSWORD}
    problem(Client().post("/api/identity/token", credentials, "application/json"), 401)
    problem(cast.admin.post(f"{where}/deactivate"), 409)
    assert "identity.activate_user" in {a["command"] for a in cast.admin.get(where).json()["allowed_actions"]}
    assert cast.admin.post(f"{where}/activate").json()["is_active"] is True
    assert Client().post("/api/identity/token", credentials, "application/json").status_code == 200


def test_an_administrator_cannot_lock_themselves_out(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["admin"])
    answer = Client().post(f"{USERS}/{user['id']}/deactivate", {}, "application/json", headers=bearer(user))
    problem(answer, 409)


def test_what_changed_is_told_to_the_other_services(world: World, cast: Cast) -> None:
    user = make_user(cast.admin, roles=["analyst"])
    cast.admin.post(f"{USERS}/{user['id']}/assign-role", {"role": "auditor"})
    events = [row for row in world.outbox("identity", "USER_CHANGED") if str(row["aggregate_id"]) == user["id"]]
    assert [(row["aggregate_version"], row["payload"]["roles"]) for row in events] == [
        (1, ["analyst"]),
        (2, ["analyst", "auditor"]),
    ]


def test_many_users_at_once(world: World, cast: Cast) -> None:
    team = cast.admin.post("/api/identity/teams", {"name": "Bulk team"}).json()["id"]
    rows = [
        {
            "key": {"source": "hr", "key": str(n)},
            "data": {"username": f"bulk{n}", "display_name": f"Bulk {n}", "roles": ["sales_rep"], "team_id": team},
        }
        for n in range(25)
    ]
    rows.append({"data": {"username": "bulkx", "display_name": "X", "roles": ["king"]}})
    found = cast.admin.post(f"{USERS}/bulk", {"rows": rows}).json()
    assert (found["created"], found["rejected"]) == (25, 1)
    shown = cast.admin.get(f"{USERS}/{found['verdicts'][7]['id']}").json()
    assert (shown["username"], shown["roles"], shown["team_id"]) == ("bulk7", ["sales_rep"], team)
    again = cast.admin.post(f"{USERS}/bulk", {"rows": rows[:25]}).json()
    assert again["exists"] == 25


def test_a_token_carries_the_teams_below_and_the_territories(world: World, cast: Cast) -> None:
    def team(name: str, parent: str | None = None) -> str:
        found: str = cast.admin.post("/api/identity/teams", {"name": name, "parent_id": parent}).json()["id"]
        return found

    top = team("Top")
    left, right = team("Left", top), team("Right", top)
    leaf = team("Leaf", left)
    place = cast.admin.post(
        "/api/identity/territories", {"name": "North", "country_code": "DE", "group_name": "Europe"}
    ).json()["id"]
    user = make_user(cast.admin, team_id=left, territory_ids=[place], roles=["sales_rep"])

    from django.conf import settings

    found = KeyRing(settings.HEADWATER_JWKS).verify(tokens.issue_for(user["username"]))
    assert found.team_ids == (UUID(left), UUID(leaf))
    assert found.territory_ids == (UUID(place),)
    assert UUID(right) not in found.team_ids


def test_teams_form_no_circle(world: World, cast: Cast) -> None:
    one = cast.admin.post("/api/identity/teams", {"name": "One"}).json()["id"]
    two = cast.admin.post("/api/identity/teams", {"name": "Two", "parent_id": one}).json()["id"]
    three = cast.admin.post("/api/identity/teams", {"name": "Three", "parent_id": two}).json()["id"]
    for parent in (one, three):
        body = problem(cast.admin.post(f"/api/identity/teams/{one}/update", {"parent_id": parent}), 422)
        assert [(error["field"], error["code"]) for error in body["errors"]] == [("parent_id", "cycle")]
    assert cast.admin.post(f"/api/identity/teams/{three}/update", {"parent_id": None}).json()["parent_id"] is None
