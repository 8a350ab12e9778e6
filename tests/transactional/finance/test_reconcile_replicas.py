"""Harmed replicas are found, and mended by their own service's command; events that are under way win."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from django.db import connections

from policy.principal import Principal
from tests.cast import the_cast
from transactional.kernel import reconcile
from transactional.kernel.context import Context

ACCOUNTS, PROFILES = "/api/contacts/accounts", "/api/finance/account-profiles"
NAMES = ("finance.account_profile", "orders.account_profile", "orders.product_replica")


@pytest.fixture
def cast(world):
    return the_cast("accountant", bobs_role="sales_rep")


@pytest.fixture
def account(world, cast):
    body = {"name": "Acme", "billing_address": {"city": "Oslo", "country": "NO"}, "annual_revenue": "1.5"}
    made = cast.bob.post(ACCOUNTS, body).json()["account_uuid"]
    cast.admin.post("/api/inventory/products", {"sku": f"S-{uuid4().hex[:8]}", "name": "Bike", "list_price": "3"})
    world.settle()
    return made


def ctx() -> Context:
    return Context(actor=Principal(uuid4(), "reconcile", frozenset({"service"})), reason="drift check")


def check(name="finance.account_profile", mend=False) -> reconcile.Report:
    (replica,) = [replica for replica in reconcile.replicas() if replica.consumer == name]
    report = reconcile.reconcile(replica, ctx(), mend=mend)
    connections["finance"].close()
    return report


def by_hand(world, change, *parameters) -> None:
    with world.superuser() as owner:
        owner.execute(change.encode(), parameters)


@pytest.fixture(autouse=True)
def _clean(world) -> Iterator[None]:
    yield
    by_hand(world, "delete from finance.account_profile where account_type = 'Ghost'")
    check(mend=True)


def test_every_replica_is_declared_and_agrees(account):
    assert {replica.consumer for replica in reconcile.replicas()} >= set(NAMES)
    for name in NAMES:
        report = check(name)
        assert (report.drifts, report.compared > 0) == ([], True)


@pytest.mark.parametrize(
    ("change", "kind", "fields"),
    [
        ("update finance.account_profile set name = 'Acne' where account_uuid = %s", "different", {"name"}),
        (
            "update finance.account_profile set billing_address = null, currency = 'EUR' where account_uuid = %s",
            "different",
            {"billing_address", "currency"},
        ),
        ("update finance.account_profile set replica_version = 99 where account_uuid = %s", "ahead", set()),
        (
            "update finance.account_profile set replica_version = 0, name = 'Old' where account_uuid = %s",
            "behind",
            {"name"},
        ),
        ("delete from finance.account_profile where account_uuid = %s", "missing", set()),
    ],
)
def test_harm_is_reported_and_mended(world, cast, account, change, kind, fields):
    by_hand(world, change, account)
    (drift,) = check().drifts
    assert (drift.kind, drift.key, set(drift.fields)) == (kind, UUID(account), fields)
    report = check(mend=True)
    assert (len(report.drifts), report.mended) == (1, 1)
    assert check().drifts == []
    profile = cast.alice.get(f"{PROFILES}/{account}").json()
    assert (profile["name"], profile["replica_version"]) == ("Acme", 1)


def test_mending_leaves_what_the_service_alone_knows(world, cast, account):
    cast.alice.post(f"{PROFILES}/{account}/set-credit-limit", {"credit_limit": "77"})
    by_hand(world, "update finance.account_profile set name = 'Acne' where account_uuid = %s", account)
    check(mend=True)
    assert cast.alice.get(f"{PROFILES}/{account}").json()["credit_limit"] == "77.0000"


def test_events_go_on_after_mending(world, cast, account):
    by_hand(world, "update finance.account_profile set replica_version = 99 where account_uuid = %s", account)
    check(mend=True)
    cast.bob.post(f"{ACCOUNTS}/{account}/update", {"name": "Acme GmbH"})
    world.settle()
    assert cast.alice.get(f"{PROFILES}/{account}").json()["name"] == "Acme GmbH"


def test_a_row_that_its_master_does_not_know_is_reported_and_left(world, cast, account):
    by_hand(
        world,
        "insert into finance.account_profile select (jsonb_populate_record(p, %s)).* from finance.account_profile p"
        " where account_uuid = %s",
        f'{{"account_uuid": "{uuid4()}", "account_type": "Ghost"}}',
        account,
    )
    report = check(mend=True)
    assert ([drift.kind for drift in report.drifts], report.mended) == (["orphan"], 0)


def test_an_event_that_arrives_between_reading_and_mending_wins(world, cast, account):
    by_hand(world, "update finance.account_profile set name = 'Acne' where account_uuid = %s", account)
    (drift,) = check().drifts
    cast.bob.post(f"{ACCOUNTS}/{account}/update", {"name": "Newer"})
    world.settle()
    answer = cast.admin.post(f"{PROFILES}/mend", {"rows": [drift.row()]})
    assert answer.json() == {"mended": 0}
    assert cast.alice.get(f"{PROFILES}/{account}").json()["name"] == "Newer"


def test_a_state_that_is_no_account_is_refused(world, cast, account):
    row = {"key": account, "version": 1, "seen_version": 1, "state": {"name": "Acme"}}
    answer = cast.admin.post(f"{PROFILES}/mend", {"rows": [row]})
    assert answer.status_code == 422
    assert "rows.0.state.account_uuid" in [error["field"] for error in answer.json()["errors"]]


def test_mending_is_for_services(cast):
    for person in (cast.alice, cast.bob, cast.charlie):
        assert person.post(f"{PROFILES}/mend", {"rows": []}).status_code == 403
