"""Accounts go out of use and come back; what can be done now is said with the account."""

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


def act(person, account, verb, **options):
    return person.post(f"{PATH}/{account}/{verb}", **options)


def offered(person, account):
    actions = person.get(f"{PATH}/{account}").json()["allowed_actions"]
    return {action["command"] for action in actions} & {"contacts.activate_account", "contacts.deactivate_account"}


def test_alice_deactivates_and_activates(world, cast, account):
    assert act(cast.alice, account, "deactivate").json()["status"] == "Inactive"
    assert act(cast.alice, account, "activate").json()["status"] == "Active"
    told = [row["payload"]["status"] for row in world.outbox("contacts") if str(row["aggregate_id"]) == account]
    assert told == ["Active", "Inactive", "Active"]


def test_only_what_fits_the_status_is_offered_and_done(cast, account):
    assert offered(cast.alice, account) == {"contacts.deactivate_account"}
    assert act(cast.alice, account, "activate").status_code == 409
    act(cast.alice, account, "deactivate")
    assert offered(cast.alice, account) == {"contacts.activate_account"}
    refused = act(cast.alice, account, "deactivate")
    assert (refused.status_code, refused.json()["state"]) == (409, "Inactive")


def test_bob_may_not_and_charlie_finds_nothing(cast, account):
    for verb in ("deactivate", "activate"):
        assert act(cast.bob, account, verb).status_code == 403
        assert act(cast.charlie, account, verb).status_code == 404
    assert cast.alice.get(f"{PATH}/{account}").json()["version"] == 1


def test_two_who_saw_the_same_version_do_not_both_act(cast, account):
    assert act(cast.alice, account, "deactivate", if_match=1).status_code == 200
    assert act(cast.alice, account, "activate", if_match=1).status_code == 409
