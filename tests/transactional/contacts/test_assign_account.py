"""Handing accounts over: the new owner's people see them, and so do the replicas' readers."""

from __future__ import annotations

import pytest

from tests.cast import the_cast

PATH = "/api/contacts/accounts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep")


@pytest.fixture
def account(cast):
    return cast.alice.post(PATH, {"name": "Acme"}).json()["account_uuid"]


def test_alice_hands_an_account_over_to_charlies_territory(world, cast, account):
    body = {"owner_id": str(cast.charlie.id), "territory_id": str(cast.charlie.territory_id)}
    assert cast.alice.post(f"{PATH}/{account}/assign", body).status_code == 200
    assert cast.charlie.get(f"{PATH}/{account}").status_code == 200
    assert cast.alice.get(f"{PATH}/{account}").status_code == 404
    world.settle()
    assert cast.charlie.get(f"/api/orders/account-profiles/{account}").status_code == 200
    assert cast.alice.get(f"/api/orders/account-profiles/{account}").status_code == 404


def test_bob_may_not_and_charlie_cannot_take_it(cast, account):
    body = {"owner_id": str(cast.charlie.id)}
    assert cast.bob.post(f"{PATH}/{account}/assign", body).status_code == 403
    assert cast.charlie.post(f"{PATH}/{account}/assign", body).status_code == 404


def test_bad_input_is_named(cast, account):
    for body, field in (({}, "owner_id"), ({"owner_id": "alice"}, "owner_id"), ({"region": "EU"}, "region")):
        answer = cast.alice.post(f"{PATH}/{account}/assign", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_nobody_creates_an_account_where_they_could_not_see_it(cast):
    body = {"name": "X", "owner_id": str(cast.charlie.id), "territory_id": str(cast.charlie.territory_id)}
    assert cast.alice.post(PATH, body).status_code == 403
