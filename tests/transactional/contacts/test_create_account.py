"""Who may create an account, what is stored and told, and what is refused with the field named."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast

PATH = "/api/contacts/accounts"
ADDRESS = {
    "line1": "Hauptstraße 1",
    "line2": None,
    "city": "München",
    "region": "Bayern",
    "postal_code": "80331",
    "country": "DE",
}


def test_alice_creates_an_account(world):
    alice = the_cast("sales_rep").alice
    answer = alice.post(
        PATH,
        {
            "name": "  Acme  ",
            "account_type": "Customer",
            "billing_address": ADDRESS,
            "industry": "Steel",
            "annual_revenue": "12.5000",
            "currency": "EUR",
            "custom": {"segment": "A"},
        },
    )
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    account = answer.json()
    assert account["name"] == "Acme"
    assert account["account_number"].startswith("AC-")
    assert account["status"] == "Active"
    assert account["billing_address"] == ADDRESS
    assert account["annual_revenue"] == "12.5000"
    assert account["primary_contact"] is None
    assert account["owner_id"] == str(alice.id)
    assert account["territory_id"] == str(alice.territory_id)
    assert alice.get(f"{PATH}/{account['account_uuid']}").json()["custom"] == {"segment": "A"}


def test_the_event_carries_the_whole_account(world):
    alice = the_cast("sales_rep").alice
    account = alice.post(PATH, {"name": "Beta", "billing_address": ADDRESS, "annual_revenue": "0.0001"}).json()
    (event,) = [row for row in world.outbox("contacts") if str(row["aggregate_id"]) == account["account_uuid"]]
    assert (event["type"], event["aggregate_type"], event["aggregate_version"]) == ("ACCOUNT_CREATED", "account", 1)
    same = ("account_uuid", "account_number", "name", "status", "billing_address", "annual_revenue", "territory_id")
    assert {name: event["payload"][name] for name in same} == {name: account[name] for name in same}


def test_numbers_are_unique_and_in_the_house_form(world):
    alice = the_cast("sales_rep").alice
    numbers = [alice.post(PATH, {"name": "Any"}).json()["account_number"] for _ in range(3)]
    assert len(set(numbers)) == 3
    assert all(len(number) == 9 and number[3:].isdigit() for number in numbers)


def test_an_employee_or_a_contact_may_be_the_primary_contact(world):
    alice = the_cast("sales_rep").alice
    employee = {"kind": "employee", "id": str(uuid4())}
    assert alice.post(PATH, {"name": "A", "primary_contact": employee}).json()["primary_contact"] == employee
    person = alice.post("/api/contacts/contacts", {"last_name": "Noor"}).json()
    answer = alice.post(PATH, {"name": "B", "primary_contact": {"kind": "contact", "id": person["id"]}})
    assert answer.json()["contact_roles"] == [{"contact_id": person["id"], "role": "Primary contact"}]


def test_the_same_key_creates_one_account(world):
    alice = the_cast("sales_rep").alice
    first = alice.post(PATH, {"name": "Once"}, key="create-once")
    again = alice.post(PATH, {"name": "Once"}, key="create-once")
    assert (again.status_code, again.json()) == (201, first.json())
    other = alice.post(PATH, {"name": "Twice"}, key="create-once")
    assert other.status_code == 422


def test_bob_may_not_create_and_charlie_learns_nothing(world):
    cast = the_cast("sales_rep")
    account = cast.alice.post(PATH, {"name": "Secret"}).json()
    assert cast.bob.post(PATH, {"name": "Acme"}).status_code == 403
    here, nowhere = (cast.charlie.get(f"{PATH}/{id}") for id in (account["account_uuid"], uuid4()))
    assert (here.status_code, nowhere.status_code) == (404, 404)
    child = cast.charlie.post(PATH, {"name": "Child", "parent_id": account["account_uuid"]})
    stranger = cast.charlie.post(PATH, {"name": "Child", "parent_id": str(uuid4())})
    assert child.status_code == stranger.status_code == 422
    assert child.json()["errors"][0]["code"] == stranger.json()["errors"][0]["code"] == "unknown"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"name": "Acme", "colour": "red"}, "colour"),
        ({"name": "Acme", "account_type": "Friend"}, "account_type"),
        ({"name": "Acme", "status": "On Hold"}, "status"),
        ({"name": "Acme", "annual_revenue": "-1"}, "annual_revenue"),
        ({"name": "Acme", "annual_revenue": "1.00001"}, "annual_revenue"),
        ({"name": "Acme", "annual_revenue": "NaN"}, "annual_revenue"),
        ({"name": "Acme", "annual_revenue": "1" * 16}, "annual_revenue"),
        ({"name": "Acme", "currency": "euro"}, "currency"),
        ({"name": "Acme", "billing_address": {"country": "Germany"}}, "billing_address.country"),
        ({"name": "Acme", "billing_address": {"planet": "Mars"}}, "billing_address.planet"),
        ({"name": "Acme", "parent_id": "12"}, "parent_id"),
        ({"name": "Acme", "parent_id": "0199aaaa-0000-7000-8000-000000000000"}, "parent_id"),
        ({"name": "Acme", "primary_contact": {"kind": "robot", "id": str(uuid4())}}, "primary_contact.kind"),
        ({"name": "Acme", "primary_contact": {"kind": "contact", "id": str(uuid4())}}, "primary_contact"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(world, body, field):
    alice = the_cast("sales_rep").alice
    before = len(world.outbox("contacts"))
    answer = alice.post(PATH, body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert alice.get(PATH).json()["items"] == []
    assert len(world.outbox("contacts")) == before
