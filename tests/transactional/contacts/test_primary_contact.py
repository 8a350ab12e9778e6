"""The account's main person: one of its contacts, or one of our employees."""

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
def contact(cast, account):
    return cast.alice.post(CONTACTS, {"last_name": "Noor", "account_uuid": account}).json()["id"]


def name(person, account, primary):
    return person.post(f"{ACCOUNTS}/{account}/set-primary-contact", {"primary_contact": primary})


def test_a_contact_of_the_account(world, cast, account, contact):
    primary = {"kind": "contact", "id": contact}
    answer = name(cast.alice, account, primary)
    assert (answer.status_code, answer.json()["primary_contact"]) == (200, primary)
    event = world.outbox("contacts")[-1]
    assert event["type"] == "ACCOUNT_UPDATED"
    assert event["payload"]["primary_contact_id"] == contact


def test_an_employee_or_nobody(cast, account):
    employee = {"kind": "employee", "id": str(uuid4())}
    assert name(cast.alice, account, employee).json()["primary_contact"] == employee
    assert name(cast.alice, account, None).json()["primary_contact"] is None


def test_a_contact_from_elsewhere_becomes_one_of_the_account(cast, account):
    stranger = cast.alice.post(CONTACTS, {"last_name": "Okafor"}).json()["id"]
    answer = name(cast.alice, account, {"kind": "contact", "id": stranger})
    assert answer.json()["contact_roles"] == [{"contact_id": stranger, "role": "Primary contact"}]


def test_the_primary_contact_does_not_leave_the_account(cast, account, contact):
    name(cast.alice, account, {"kind": "contact", "id": contact})
    moved = cast.alice.post(f"{CONTACTS}/{contact}/update", {"account_uuid": None})
    assert (moved.status_code, moved.json()["type"].rpartition(":")[2]) == (409, "primary_contact")
    name(cast.alice, account, None)
    assert cast.alice.post(f"{CONTACTS}/{contact}/update", {"account_uuid": None}).status_code == 200


def test_bob_may_not_and_charlie_finds_nothing(cast, account, contact):
    primary = {"kind": "contact", "id": contact}
    assert name(cast.bob, account, primary).status_code == 403
    assert name(cast.charlie, account, primary).status_code == 404
    his = cast.charlie.post(ACCOUNTS, {"name": "Charlie's"}).json()["account_uuid"]
    assert name(cast.charlie, his, primary).json()["errors"][0]["code"] == "unknown"


@pytest.mark.parametrize(
    ("primary", "field"),
    [
        ({"kind": "contact", "id": str(uuid4())}, "primary_contact"),
        ({"kind": "friend", "id": str(uuid4())}, "primary_contact.kind"),
        ({"kind": "contact"}, "primary_contact.id"),
        ("Noor", "primary_contact"),
    ],
)
def test_bad_input_is_named(cast, account, primary, field):
    answer = name(cast.alice, account, primary)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
