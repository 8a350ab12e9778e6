"""What everybody does for themselves: views of lists, ending their sessions everywhere."""

from __future__ import annotations

import pytest

from tests.cast import Cast, the_cast
from tests.world import World
from transactional.identity import tokens
from transactional.kernel.calls import execute
from transactional.kernel.context import Context
from transactional.kernel.problems import Absent, Forbidden, Unauthenticated

VIEW = {"list_name": "accounts", "name": "On hold", "query": "status=On+Hold"}


@pytest.fixture
def cast(world: World) -> Cast:
    return the_cast("sales_rep", bobs_role="sales_rep")


def test_a_view_is_kept_changed_and_removed(cast: Cast) -> None:
    made = cast.alice.post("/api/identity/saved-views", VIEW)
    assert made.status_code == 201
    path = f"/api/identity/saved-views/{made.json()['id']}"
    assert cast.alice.post(f"{path}/update", {"query": "status=Active"}, if_match=1).json()["query"] == "status=Active"
    assert [v["name"] for v in cast.alice.get("/api/identity/saved-views").json()["items"]] == ["On hold"]
    assert cast.alice.post(f"{path}/remove").json()["name"] == "On hold"
    assert cast.alice.get(path).status_code == 404


def test_nobody_sees_or_changes_the_views_of_others(cast: Cast) -> None:
    made = cast.alice.post("/api/identity/saved-views", VIEW).json()
    for other in (cast.bob, cast.charlie, cast.admin):
        assert other.get("/api/identity/saved-views").json()["items"] == []
        assert other.get(f"/api/identity/saved-views/{made['id']}").status_code == 404
        assert other.post(f"/api/identity/saved-views/{made['id']}/remove").status_code == 404


def test_a_name_is_taken_once_for_a_person_and_list(cast: Cast) -> None:
    assert cast.alice.post("/api/identity/saved-views", VIEW).status_code == 201
    again = cast.alice.post("/api/identity/saved-views", VIEW)
    assert again.status_code == 409
    assert "You have a view of this name." in again.json()["detail"]
    assert cast.bob.post("/api/identity/saved-views", VIEW).status_code == 201


@pytest.mark.parametrize("query", ["a b", "a\nb", "x" * 2001])
def test_a_query_that_is_no_query_string_is_refused(cast: Cast, query: str) -> None:
    answer = cast.alice.post("/api/identity/saved-views", VIEW | {"query": query})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query"


def test_ending_ones_own_sessions_ends_every_one_of_them_and_nobody_elses(world: World) -> None:
    admin = the_cast("sales_rep").admin
    made = {}
    for name in ("dora", "emil"):
        person = {"username": name, "display_name": name.title(), "roles": ["sales_rep"], "password": "a long password"}
        made[name] = execute("identity.create_user", person, admin.ctx()).data["id"]
    here, there, other = (tokens.log_in(n, "a long password") for n in ("dora", "dora", "emil"))
    dora = Context(actor=tokens.principal_of(tokens.UserAccount.objects.get(pk=made["dora"])))
    with pytest.raises((Forbidden, Absent)):
        execute("identity.end_own_sessions", {"id": made["emil"]}, dora)
    execute("identity.end_own_sessions", {"id": made["dora"]}, dora)
    for session in (here.session, there.session):
        with pytest.raises(Unauthenticated):
            tokens.renew(session)
    assert tokens.renew(other.session)
