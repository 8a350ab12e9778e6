"""Finance's copy of an account follows Contacts, newer versions only, and never loses what Finance added."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from tests.cast import the_cast
from transactional.kernel.inbox import InboundEvent, apply_events

ACCOUNTS = "/api/contacts/accounts"
PROFILES = "/api/finance/account-profiles"


@pytest.fixture
def cast(world):
    return the_cast("accountant", bobs_role="sales_rep")


@pytest.fixture
def account(cast):
    body = {"name": "Acme", "account_type": "Customer", "currency": "EUR", "billing_address": {"country": "DE"}}
    return cast.bob.post(ACCOUNTS, body).json()


def profile(cast, account):
    return cast.alice.get(f"{PROFILES}/{account['account_uuid']}").json()


def events(world, account):
    rows = [row for row in world.outbox("contacts") if str(row["aggregate_id"]) == account["account_uuid"]]
    return [InboundEvent(**row) for row in rows]


def test_a_new_account_has_the_house_terms(world, cast, account):
    world.settle()
    made = profile(cast, account)
    assert (made["name"], made["account_type"], made["account_status"]) == ("Acme", "Customer", "Active")
    assert (made["currency"], made["billing_address"]["country"]) == ("EUR", "DE")
    assert (Decimal(made["credit_limit"]), made["payment_terms"]) == (10000, "Net 30")
    assert (Decimal(made["balance_due"]), made["on_credit_hold"], made["replica_version"]) == (0, False, 1)
    assert made["territory_id"] == account["territory_id"]


def test_updates_follow_and_finances_own_words_stay(world, cast, account):
    world.settle()
    cast.alice.post(f"{PROFILES}/{account['account_uuid']}/set-credit-limit", {"credit_limit": "5"})
    cast.bob.post(f"{ACCOUNTS}/{account['account_uuid']}/update", {"name": "Acme GmbH"})
    world.settle()
    now = profile(cast, account)
    assert (now["name"], now["credit_limit"], now["replica_version"]) == ("Acme GmbH", "5.0000", 2)


def test_an_older_event_changes_nothing(world, cast, account):
    cast.bob.post(f"{ACCOUNTS}/{account['account_uuid']}/update", {"name": "Second"})
    cast.bob.post(f"{ACCOUNTS}/{account['account_uuid']}/update", {"name": "Third"})
    created, second, third = events(world, account)
    for event in (third, second, created):
        (verdict,) = apply_events("finance", [event])
        assert verdict.status == "applied"
        assert profile(cast, account)["name"] == "Third"


def test_it_catches_up_in_order_after_an_absence(world, cast, account):
    for name in ("A", "B", "C"):
        cast.bob.post(f"{ACCOUNTS}/{account['account_uuid']}/update", {"name": name})
    cast.bob.post(f"{ACCOUNTS}/{account['account_uuid']}/deactivate")
    world.deliver("finance")
    now = profile(cast, account)
    assert (now["name"], now["account_status"], now["replica_version"]) == ("C", "Inactive", 5)


@pytest.mark.parametrize(
    "change",
    [
        "credit_limit = -1",
        "on_credit_hold = true",
        "hold_reason = 'because'",
        "on_credit_hold = true, hold_reason = 'because'",
        "hold_since = now()",
    ],
)
def test_the_database_refuses_what_cannot_be(world, account, change):
    world.settle()
    with world.as_role("hw_finance") as finance, pytest.raises(psycopg.errors.CheckViolation):
        finance.execute(f"update account_profile set {change}".encode())
