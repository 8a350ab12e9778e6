"""Contacts' roles in accounts, and what accounts are to each other."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast

ACCOUNTS, CONTACTS = "/api/contacts/accounts", "/api/contacts/contacts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep")


@pytest.fixture
def account(cast):
    return cast.alice.post(ACCOUNTS, {"name": "Acme"}).json()["account_uuid"]


@pytest.fixture
def other(cast):
    return cast.alice.post(ACCOUNTS, {"name": "Beta"}).json()["account_uuid"]


@pytest.fixture
def contact(cast):
    return cast.alice.post(CONTACTS, {"last_name": "Noor"}).json()["id"]


def act(person, account, verb, **body):
    return person.post(f"{ACCOUNTS}/{account}/{verb}", body)


class TestContacts:
    def test_alice_links_and_unlinks(self, cast, account, contact):
        linked = act(cast.alice, account, "link-contact", contact_id=contact, role="Buyer")
        assert linked.json()["contact_roles"] == [{"contact_id": contact, "role": "Buyer"}]
        second = act(cast.alice, account, "link-contact", contact_id=contact, role="Engineer")
        assert len(second.json()["contact_roles"]) == 2
        unlinked = act(cast.alice, account, "unlink-contact", contact_id=contact, role="Buyer")
        assert unlinked.json()["contact_roles"] == [{"contact_id": contact, "role": "Engineer"}]

    def test_a_role_is_given_once_and_taken_once(self, cast, account, contact):
        assert act(cast.alice, account, "link-contact", contact_id=contact, role="Buyer").status_code == 200
        assert act(cast.alice, account, "link-contact", contact_id=contact, role="Buyer").status_code == 409
        assert act(cast.alice, account, "unlink-contact", contact_id=contact, role="Buyer").status_code == 200
        again = act(cast.alice, account, "unlink-contact", contact_id=contact, role="Buyer")
        assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "contact_id")

    def test_the_primary_contact_keeps_its_last_role(self, cast, account, contact):
        act(cast.alice, account, "set-primary-contact", primary_contact={"kind": "contact", "id": contact})
        answer = act(cast.alice, account, "unlink-contact", contact_id=contact, role="Primary contact")
        assert answer.status_code == 409

    def test_bob_may_not_and_charlie_finds_nothing(self, cast, account, contact):
        assert act(cast.bob, account, "link-contact", contact_id=contact, role="Buyer").status_code == 403
        assert act(cast.charlie, account, "link-contact", contact_id=contact, role="Buyer").status_code == 404
        assert act(cast.charlie, account, "unlink-contact", contact_id=contact, role="Buyer").status_code == 404
        his = cast.charlie.post(ACCOUNTS, {"name": "Charlie's"}).json()["account_uuid"]
        answer = act(cast.charlie, his, "link-contact", contact_id=contact, role="Buyer")
        assert answer.json()["errors"][0] == {"field": "contact_id", "code": "unknown"} | {
            "message": f"There is no contact {contact}."
        }

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"role": "Buyer"}, "contact_id"),
            ({"contact_id": str(uuid4()), "role": "Buyer"}, "contact_id"),
            ({"contact_id": str(uuid4()), "role": ""}, "role"),
        ],
    )
    def test_bad_input_is_named(self, cast, account, body, field):
        answer = act(cast.alice, account, "link-contact", **body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


class TestRelationships:
    def test_alice_relates_two_accounts_and_ends_it(self, cast, account, other):
        related = act(cast.alice, account, "relate", to_account=other, kind="Reseller of")
        assert related.json()["relationships"] == [{"to_account": other, "kind": "Reseller of"}]
        assert act(cast.alice, account, "relate", to_account=other, kind="Reseller of").status_code == 409
        ended = act(cast.alice, account, "unrelate", to_account=other, kind="Reseller of")
        assert ended.json()["relationships"] == []
        assert act(cast.alice, account, "unrelate", to_account=other, kind="Reseller of").status_code == 422

    def test_bob_may_not_and_charlie_finds_nothing(self, cast, account, other):
        assert act(cast.bob, account, "relate", to_account=other, kind="X").status_code == 403
        assert act(cast.charlie, account, "relate", to_account=other, kind="X").status_code == 404
        assert act(cast.charlie, account, "unrelate", to_account=other, kind="X").status_code == 404

    def test_bad_input_is_named(self, cast, account):
        for target in (account, str(uuid4()), "Acme"):
            answer = act(cast.alice, account, "relate", to_account=target, kind="X")
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "to_account")
