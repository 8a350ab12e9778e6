"""Inline edits of an account: what was sent changes, the rest stays, no edit overwrites an unseen one."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from tests.cast import the_cast

PATH = "/api/contacts/accounts"


@pytest.fixture
def cast(world):
    return the_cast("sales_rep")


@pytest.fixture
def account(cast):
    return cast.alice.post(PATH, {"name": "Acme", "industry": "Steel", "custom": {"a": 1, "b": 2}}).json()


def update(person, account, body, **options):
    return person.post(f"{PATH}/{account['account_uuid']}/update", body, **options)


def events_of(world, account):
    return [row for row in world.outbox("contacts") if str(row["aggregate_id"]) == account["account_uuid"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Acme & Sons"),
        ("account_type", "Customer"),
        (
            "billing_address",
            {"line1": "1 Way", "line2": None, "city": None, "region": None} | {"postal_code": None, "country": "US"},
        ),
        ("shipping_address", None),
        ("industry", None),
        ("annual_revenue", "1000.0000"),
        ("currency", "EUR"),
    ],
)
def test_alice_edits_one_field(cast, account, field, value):
    answer = update(cast.alice, account, {field: value})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed[field] == value
    rest = {"version", "updated_at", field}
    assert {k: v for k, v in changed.items() if k not in rest} == {k: v for k, v in account.items() if k not in rest}


def test_an_edit_is_one_version_and_one_event_with_the_whole_account(world, cast, account):
    changed = update(cast.alice, account, {"name": "New", "industry": "Glass"}).json()
    assert changed["version"] == 2
    created, updated = events_of(world, account)
    assert (created["type"], updated["type"]) == ("ACCOUNT_CREATED", "ACCOUNT_UPDATED")
    assert updated["aggregate_version"] == 2
    assert (updated["payload"]["name"], updated["payload"]["account_number"]) == ("New", account["account_number"])


def test_an_edit_that_changes_nothing_is_no_event(world, cast, account):
    assert update(cast.alice, account, {"name": "Acme"}).json()["version"] == 1
    assert len(events_of(world, account)) == 1


def test_custom_fields_are_laid_over_and_null_removes(cast, account):
    assert update(cast.alice, account, {"custom": {"b": None, "c": [3]}}).json()["custom"] == {"a": 1, "c": [3]}


def test_a_stale_version_is_refused_with_the_fields_that_differ(cast, account):
    update(cast.alice, account, {"name": "First"}, if_match=1)
    answer = update(cast.alice, account, {"name": "Second"}, if_match=1)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["errors"][0]["field"] == "name"
    assert problem["current_version"] == 2
    assert update(cast.alice, account, {"name": "Second"}, if_match=2).status_code == 200


def test_bob_may_not_and_charlie_finds_nothing(cast, account):
    assert update(cast.bob, account, {"name": "Bob's"}).status_code == 403
    assert update(cast.charlie, account, {"name": "Charlie's"}).status_code == 404
    assert update(cast.alice, {"account_uuid": uuid4()}, {"name": "Nobody's"}).status_code == 404
    assert cast.alice.get(f"{PATH}/{account['account_uuid']}").json()["name"] == "Acme"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "Inactive"}, "status"),
        ({"name": None}, "name"),
        ({"annual_revenue": -0.01}, "annual_revenue"),
        ({"account_type": "customer"}, "account_type"),
        ({"account_uuid": str(uuid4())}, "account_uuid"),
        ({"version": 2}, "version"),
    ],
)
def test_bad_input_is_named(cast, account, body, field):
    answer = update(cast.alice, account, body)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_amounts_keep_every_digit(cast, account):
    revenue = "123456789012345.6789"
    assert Decimal(update(cast.alice, account, {"annual_revenue": revenue}).json()["annual_revenue"]) == Decimal(
        revenue
    )
