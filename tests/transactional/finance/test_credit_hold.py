"""A credit hold goes to Contacts and comes back as a status, once, and is never echoed to Finance."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.cast import the_cast
from transactional.kernel.inbox import InboundEvent, apply_events

ACCOUNTS = "/api/contacts/accounts"
PROFILES = "/api/finance/account-profiles"


@pytest.fixture
def cast(world):
    return the_cast("accountant", bobs_role="sales_rep")


@pytest.fixture
def account(world, cast):
    """Bob the sales rep made it; Finance knows of it."""
    made = cast.bob.post(ACCOUNTS, {"name": "Acme", "account_type": "Customer"}).json()
    world.settle()
    return made["account_uuid"]


def hold(person, account, reason="Three invoices overdue", **options):
    return person.post(f"{PROFILES}/{account}/place-on-credit-hold", {"reason": reason}, **options)


def release(person, account, **options):
    return person.post(f"{PROFILES}/{account}/release-credit-hold", **options)


def apply(rows):
    return [verdict.status for verdict in apply_events("contacts", [InboundEvent(**row) for row in rows])]


def status(cast, account):
    return cast.bob.get(f"{ACCOUNTS}/{account}").json()["status"]


def events(world, service, event_type, account):
    return [row for row in world.outbox(service, event_type) if row["payload"]["account_uuid"] == account]


def test_a_hold_sets_the_master_status_and_release_restores_it(world, cast, account):
    held = hold(cast.alice, account).json()
    assert (held["on_credit_hold"], held["hold_reason"]) == (True, "Three invoices overdue")
    assert held["hold_since"] is not None
    assert status(cast, account) == "Active"
    world.settle()
    assert status(cast, account) == "On Hold"
    assert release(cast.alice, account).json()["hold_reason"] is None
    world.settle()
    assert status(cast, account) == "Active"


def test_release_restores_inactive_where_it_was_inactive(world, cast, account):
    cast.bob.post(f"{ACCOUNTS}/{account}/deactivate")
    hold(cast.alice, account)
    world.settle()
    assert cast.bob.get(f"{ACCOUNTS}/{account}").json()["status_before_hold"] == "Inactive"
    release(cast.alice, account)
    world.settle()
    assert status(cast, account) == "Inactive"


def test_the_status_reaches_the_replicas_and_nothing_is_echoed(world, cast, account):
    hold(cast.alice, account)
    world.settle()
    profile = cast.alice.get(f"{PROFILES}/{account}").json()
    assert (profile["account_status"], profile["on_credit_hold"]) == ("On Hold", True)
    assert cast.bob.get(f"/api/orders/account-profiles/{account}").json()["account_status"] == "On Hold"
    assert len(events(world, "finance", "ACCOUNT_STATUS_CHANGED", account)) == 1
    (updated,) = events(world, "contacts", "ACCOUNT_UPDATED", account)
    (said,) = events(world, "finance", "ACCOUNT_STATUS_CHANGED", account)
    assert updated["causation_id"] == said["id"]


def test_the_stream_is_the_actor_of_the_status(world, cast, account):
    hold(cast.alice, account)
    world.settle()
    (updated,) = events(world, "contacts", "ACCOUNT_UPDATED", account)
    assert updated["actor_id"] is None


def test_an_older_word_of_finance_is_not_heard_again(world, cast, account):
    hold(cast.alice, account)
    release(cast.alice, account)
    newest_first = sorted(
        events(world, "finance", "ACCOUNT_STATUS_CHANGED", account), key=lambda row: -row["aggregate_version"]
    )
    assert [row["payload"]["on_hold"] for row in newest_first] == [False, True]
    assert apply(newest_first) == ["applied", "applied"]
    assert status(cast, account) == "Active"


def test_an_event_delivered_twice_acts_once(world, cast, account):
    hold(cast.alice, account)
    (said,) = events(world, "finance", "ACCOUNT_STATUS_CHANGED", account)
    assert apply([said]) == ["applied"]
    assert apply([said]) == ["duplicate"]
    assert len(events(world, "contacts", "ACCOUNT_UPDATED", account)) == 1


def test_a_held_account_is_neither_activated_nor_deactivated_by_hand(world, cast, account):
    hold(cast.alice, account)
    world.settle()
    for verb in ("activate", "deactivate"):
        answer = cast.bob.post(f"{ACCOUNTS}/{account}/{verb}")
        assert answer.status_code == 409
        assert answer.json()["state"] == "On Hold"


def test_nobody_but_the_stream_sets_the_status(world, cast, account):
    for person in (cast.bob, cast.admin):
        answer = person.post(f"{ACCOUNTS}/{account}/set-hold", {"on_hold": True, "hold_version": 99})
        assert answer.status_code == 403
    assert cast.bob.post(f"{ACCOUNTS}/{account}/update", {"status": "On Hold"}).status_code == 422
    offered = cast.admin.get(f"{ACCOUNTS}/{account}").json()["allowed_actions"]
    assert "contacts.set_hold" not in [action["command"] for action in offered]


def test_a_hold_is_placed_and_released_once(cast, account):
    assert release(cast.alice, account).status_code == 409
    assert hold(cast.alice, account, key="hold").status_code == 200
    assert hold(cast.alice, account, key="hold").headers["Idempotent-Replayed"] == "true"
    again = hold(cast.alice, account)
    assert again.status_code == 409
    assert "Three invoices overdue" in again.json()["detail"]


def test_what_can_be_done_follows_the_hold(cast, account):
    def offered():
        actions = cast.alice.get(f"{PROFILES}/{account}").json()["allowed_actions"]
        return {action["command"] for action in actions} & {
            "finance.place_on_credit_hold",
            "finance.release_credit_hold",
        }

    assert offered() == {"finance.place_on_credit_hold"}
    hold(cast.alice, account)
    assert offered() == {"finance.release_credit_hold"}


def test_bob_may_not_and_charlie_finds_nothing(cast, account):
    assert hold(cast.bob, account).status_code == 403
    assert hold(cast.charlie, account).status_code == 404
    assert release(cast.charlie, account).status_code == 404
    assert hold(cast.alice, uuid4()).status_code == 404


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": None}, {"reason": "x" * 4001}, {"reason": 7}])
def test_a_hold_needs_a_reason(cast, account, body):
    answer = cast.alice.post(f"{PROFILES}/{account}/place-on-credit-hold", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reason"
