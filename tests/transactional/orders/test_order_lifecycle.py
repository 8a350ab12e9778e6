"""Confirm, ship, close, cancel: each once, in order, and never for an account on hold."""

from __future__ import annotations

import threading
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connections

from tests.cast import Person
from transactional.kernel.calls import execute
from transactional.kernel.problems import Problem


def advanced(shop, *verbs):
    order = shop.draft()
    for verb in verbs:
        assert shop.act(order, verb).status_code == 200
    return order


def offered(shop, order):
    actions = shop.read(order)["allowed_actions"]
    return {action["command"].partition(".")[2] for action in actions}


def test_alice_takes_an_order_from_draft_to_closed(shop):
    order = shop.draft()
    assert shop.act(order, "confirm").json()["status"] == "confirmed"
    shipped = shop.act(order, "ship", carrier_tracking_number="TR-1").json()
    assert (shipped["status"], shipped["lines"][0]["carrier_tracking_number"]) == ("shipped", "TR-1")
    assert shipped["ship_date"] is not None
    assert shop.act(order, "close").json()["status"] == "closed"
    told = [row["type"] for row in shop.world.outbox("orders") if str(row["aggregate_id"]) == order["id"]]
    assert told == ["SALES_ORDER_CREATED", "SALES_ORDER_CONFIRMED", "SALES_ORDER_SHIPPED"]


def test_an_order_is_cancelled_until_it_is_shipped(shop):
    for verbs in ((), ("confirm",)):
        order = advanced(shop, *verbs)
        assert shop.act(order, "cancel").json()["status"] == "cancelled"
        assert shop.world.outbox("orders")[-1]["type"] == "SALES_ORDER_CANCELLED"
    assert shop.act(advanced(shop, "confirm", "ship"), "cancel").status_code == 409


@pytest.mark.parametrize(
    ("verbs", "possible"),
    [
        (
            (),
            {"update_sales_order", "add_line", "update_line", "remove_line"}
            | {"confirm_sales_order", "cancel_sales_order"},
        ),
        (("confirm",), {"ship_sales_order", "cancel_sales_order"}),
        (("confirm", "ship"), {"close_sales_order"}),
        (("confirm", "ship", "close"), set()),
        (("cancel",), set()),
    ],
)
def test_only_what_fits_the_state_is_offered_and_done(shop, verbs, possible):
    order = advanced(shop, *verbs)
    assert offered(shop, order) == possible
    for verb in {"confirm", "ship", "close", "cancel"}:
        if f"{verb}_sales_order" not in possible:
            assert shop.act(order, verb).status_code == 409


def test_an_order_for_an_account_on_hold_is_not_confirmed(shop):
    order = shop.draft()
    profile = f"/api/finance/account-profiles/{shop.account}"
    shop.cast.admin.post(f"{profile}/place-on-credit-hold", {"reason": "Overdue"})
    shop.world.settle()
    answer = shop.act(order, "confirm")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "account_not_active")
    assert "On Hold" in answer.json()["detail"]
    shop.cast.admin.post(f"{profile}/release-credit-hold")
    shop.world.settle()
    assert shop.act(order, "confirm").status_code == 200


def test_an_order_for_an_inactive_account_is_not_confirmed(shop):
    order = shop.draft()
    shop.cast.alice.post(f"/api/contacts/accounts/{shop.account}/deactivate")
    shop.world.settle()
    answer = shop.act(order, "confirm")
    assert (answer.status_code, "Inactive" in answer.json()["detail"]) == (409, True)


def test_an_empty_order_is_not_confirmed(shop):
    order = shop.cast.alice.post("/api/orders/sales-orders", {"account_uuid": shop.account}).json()
    assert shop.act(order, "confirm").json()["type"].rpartition(":")[2] == "no_lines"


def test_shipping_dates_follow_the_order(shop, refused):
    order = shop.draft(order_date="2026-05-02")
    shop.act(order, "confirm")
    refused(shop.act(order, "ship", ship_date="2026-05-01"), "ship_date")
    assert shop.act(order, "ship", ship_date="2026-05-03").json()["ship_date"] == "2026-05-03"


def test_bob_may_not_and_charlie_finds_nothing(shop):
    order = shop.draft()
    for verb in ("confirm", "ship", "close", "cancel"):
        assert shop.act(order, verb, person=shop.cast.bob).status_code == 403
        assert shop.act(order, verb, person=shop.cast.charlie).status_code == 404
    assert shop.read(order)["status"] == "draft"


def test_a_warehouse_clerk_ships_and_does_nothing_else(shop):
    alice = shop.cast.alice
    clerk = Person(replace(alice.principal, user_id=uuid4(), roles=frozenset({"warehouse_clerk"})))
    order = advanced(shop, "confirm")
    for verb in ("cancel", "confirm", "close"):
        assert shop.act(order, verb, person=clerk).status_code == 403
    assert shop.act(order, "ship", person=clerk).json()["status"] == "shipped"


def test_of_many_who_confirm_at_once_one_does(shop):
    order = shop.draft()
    barrier = threading.Barrier(4)
    outcomes: list[int] = []

    def confirm() -> None:
        barrier.wait()
        try:
            outcomes.append(execute("orders.confirm_sales_order", {"id": order["id"]}, shop.cast.alice.ctx()).status)
        except Problem as problem:
            outcomes.append(problem.status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200, 409, 409, 409]
    confirmed = [
        r for r in shop.world.outbox("orders", "SALES_ORDER_CONFIRMED") if str(r["aggregate_id"]) == order["id"]
    ]
    assert len(confirmed) == 1
