"""Forgetting a person: not for everybody who may edit them, and nothing of them is left in the row."""

from __future__ import annotations

import pytest

from tests.cast import the_cast

CONTACTS = "/api/contacts/contacts"
PERSON = {
    "first_name": "Amina",
    "last_name": "Noor",
    "title": "Dr",
    "email": "amina@acme.test",
    "phone": "+44 20 7946 0000",
    "job_title": "Buyer",
    "custom": {"nickname": "Ami"},
}


@pytest.fixture
def cast(world):
    return the_cast("sales_rep", bobs_role="support_agent")


@pytest.fixture
def contact(cast):
    return cast.alice.post(CONTACTS, PERSON).json()


def test_an_administrator_empties_every_field_that_says_something_of_the_person(cast, contact):
    answer = cast.admin.post(f"{CONTACTS}/{contact['id']}/erase", {})
    assert answer.status_code == 200
    left = answer.json()
    assert {name: left[name] for name in PERSON} == {
        **dict.fromkeys(PERSON),
        "last_name": "(erased)",
        "custom": {},
    }
    assert (left["id"], left["version"]) == (contact["id"], 2)


def test_erasing_again_changes_nothing(cast, contact):
    cast.admin.post(f"{CONTACTS}/{contact['id']}/erase", {})
    assert cast.admin.post(f"{CONTACTS}/{contact['id']}/erase", {}).json()["version"] == 2


def test_alice_and_bob_who_may_edit_the_person_may_not_erase_and_charlie_finds_nobody(cast, contact):
    for who in (cast.alice, cast.bob, cast.charlie):
        assert who.post(f"{CONTACTS}/{contact['id']}/erase", {}).status_code in (403, 404)
    assert cast.charlie.get(f"{CONTACTS}/{contact['id']}").status_code == 404
    assert cast.alice.get(f"{CONTACTS}/{contact['id']}").json()["last_name"] == "Noor"
