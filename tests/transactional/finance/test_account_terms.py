"""Credit limit, payment terms and tax number: Finance's own words about an account."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast

PROFILES = "/api/finance/account-profiles"


@pytest.fixture
def cast(world):
    return the_cast("accountant", bobs_role="sales_rep")


@pytest.fixture
def account(world, cast):
    made = cast.bob.post("/api/contacts/accounts", {"name": "Acme", "currency": "EUR"}).json()
    world.settle()
    return made["account_uuid"]


def say(person, account, verb, **body):
    return person.post(f"{PROFILES}/{account}/{verb}", body)


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [
        ("set-credit-limit", "credit_limit", "2500.5000"),
        ("set-credit-limit", "credit_limit", "0.0000"),
        ("set-payment-terms", "payment_terms", "Net 60"),
        ("set-payment-terms", "payment_terms", "Due on receipt"),
        ("set-tax-id", "tax_id", "DE 123456789"),
        ("set-tax-id", "tax_id", None),
    ],
)
def test_alice_sets_it(cast, account, verb, field, value):
    answer = say(cast.alice, account, verb, **{field: value})
    assert (answer.status_code, answer.json()[field]) == (200, value)
    assert cast.alice.get(f"{PROFILES}/{account}").json()[field] == value


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [
        ("set-credit-limit", "credit_limit", "-0.0001"),
        ("set-credit-limit", "credit_limit", "Infinity"),
        ("set-credit-limit", "credit_limit", None),
        ("set-credit-limit", "credit_limit", "1.23456"),
        ("set-payment-terms", "payment_terms", "Net 0"),
        ("set-payment-terms", "payment_terms", "someday"),
        ("set-tax-id", "tax_id", "x" * 41),
        ("set-tax-id", "tax_id", ""),
    ],
)
def test_bad_input_is_named(cast, account, verb, field, value):
    answer = say(cast.alice, account, verb, **{field: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    unknown = say(cast.alice, account, verb, surprise=1)
    assert "surprise" in [error["field"] for error in unknown.json()["errors"]]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("set-credit-limit", {"credit_limit": "1"}),
        ("set-payment-terms", {"payment_terms": "Net 7"}),
        ("set-tax-id", {"tax_id": "DE1"}),
    ],
)
def test_bob_may_not_and_charlie_finds_nothing(cast, account, verb, body):
    assert say(cast.bob, account, verb, **body).status_code == 403
    assert say(cast.charlie, account, verb, **body).status_code == 404
    assert say(cast.alice, uuid4(), verb, **body).status_code == 404
    assert cast.alice.get(f"{PROFILES}/{account}").json()["credit_limit"] == "10000.0000"


def test_a_stale_version_is_refused(cast, account):
    cast.alice.post(f"{PROFILES}/{account}/set-tax-id", {"tax_id": "DE1"}, if_match=1)
    late = cast.alice.post(f"{PROFILES}/{account}/set-tax-id", {"tax_id": "DE2"}, if_match=1)
    assert (late.status_code, late.json()["errors"][0]["field"]) == (409, "tax_id")
