"""People: created, edited, handed over; who read about them is logged."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast

ACCOUNTS, CONTACTS = "/api/contacts/accounts", "/api/contacts/contacts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep", bobs_role="warehouse_clerk")


@pytest.fixture
def account(cast):
    return cast.alice.post(ACCOUNTS, {"name": "Acme"}).json()["account_uuid"]


@pytest.fixture
def contact(cast, account):
    body = {"first_name": "Amina", "last_name": "Noor", "email": "amina@acme.test", "account_uuid": account}
    return cast.alice.post(CONTACTS, body).json()


class TestCreate:
    def test_alice_creates_a_contact_of_an_account(self, cast, account, contact):
        assert (contact["last_name"], contact["account_uuid"], contact["version"]) == ("Noor", account, 1)
        found = cast.alice.get(CONTACTS, {"account_uuid": account}).json()["items"]
        assert [person["id"] for person in found] == [contact["id"]]

    def test_bob_may_not_and_charlie_finds_neither_contact_nor_account(self, cast, account, contact):
        assert cast.bob.post(CONTACTS, {"last_name": "X"}).status_code == 403
        assert cast.charlie.get(f"{CONTACTS}/{contact['id']}").status_code == 404
        answer = cast.charlie.post(CONTACTS, {"last_name": "X", "account_uuid": account})
        assert answer.json()["errors"][0]["code"] == "unknown"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "last_name"),
            ({"last_name": " "}, "last_name"),
            ({"last_name": "X", "email": "nobody"}, "email"),
            ({"last_name": "X", "email": "a@" + "b" * 300 + ".test"}, "email"),
            ({"last_name": "X", "phone": "1"}, "phone"),
            ({"last_name": "X", "account_uuid": str(uuid4())}, "account_uuid"),
            ({"last_name": "X", "birthday": "2000-01-01"}, "birthday"),
        ],
    )
    def test_bad_input_is_named(self, cast, body, field):
        answer = cast.alice.post(CONTACTS, body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.json()["errors"]]


class TestUpdate:
    def test_alice_edits_and_moves_a_contact(self, cast, contact):
        other = cast.alice.post(ACCOUNTS, {"name": "Beta"}).json()["account_uuid"]
        answer = cast.alice.post(f"{CONTACTS}/{contact['id']}/update", {"account_uuid": other, "job_title": "CEO"})
        changed = answer.json()
        assert (changed["account_uuid"], changed["job_title"], changed["email"]) == (other, "CEO", "amina@acme.test")
        assert changed["version"] == 2

    def test_bob_may_not_and_charlie_finds_nothing(self, cast, contact):
        assert cast.bob.post(f"{CONTACTS}/{contact['id']}/update", {"title": "Dr"}).status_code == 403
        assert cast.charlie.post(f"{CONTACTS}/{contact['id']}/update", {"title": "Dr"}).status_code == 404

    def test_bad_input_is_named(self, cast, contact):
        for body, field in (({"last_name": None}, "last_name"), ({"account_uuid": str(uuid4())}, "account_uuid")):
            answer = cast.alice.post(f"{CONTACTS}/{contact['id']}/update", body)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    def test_a_stale_version_is_refused(self, cast, contact):
        cast.alice.post(f"{CONTACTS}/{contact['id']}/update", {"title": "Dr"})
        assert cast.alice.post(f"{CONTACTS}/{contact['id']}/update", {"title": "Ms"}, if_match=1).status_code == 409


class TestAssign:
    def test_alice_hands_a_contact_over(self, cast, contact):
        body = {"owner_id": None, "team_id": None, "territory_id": str(cast.charlie.territory_id)}
        assert cast.alice.post(f"{CONTACTS}/{contact['id']}/assign", body).status_code == 200
        assert cast.charlie.get(f"{CONTACTS}/{contact['id']}").status_code == 200
        assert cast.alice.get(f"{CONTACTS}/{contact['id']}").status_code == 404

    def test_bob_may_not_and_charlie_finds_nothing(self, cast, contact):
        body = {"territory_id": str(cast.charlie.territory_id)}
        assert cast.bob.post(f"{CONTACTS}/{contact['id']}/assign", body).status_code == 403
        assert cast.charlie.post(f"{CONTACTS}/{contact['id']}/assign", body).status_code == 404

    def test_it_must_say_something(self, cast, contact):
        answer = cast.alice.post(f"{CONTACTS}/{contact['id']}/assign")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "missing")


def test_reading_a_person_is_logged(world, cast, contact):
    cast.alice.get(f"{CONTACTS}/{contact['id']}")
    (read,) = world.rows("select * from contacts.access_log where resource_id = %s", [contact["id"]])
    assert (read["kind"], read["actor_id"]) == ("read", cast.alice.id)
