"""Drafts: what a sales person may write down, what it comes to, and what is refused with the field named."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

PATH = "/api/orders/sales-orders"


def test_alice_writes_a_draft(shop):
    order = shop.draft(
        {"product_id": shop.bike, "quantity": 2, "discount": "0.15"},
        {"product_id": shop.bell, "quantity": "1.5", "unit_price": "2.0000", "special_offer": "Spring"},
        tax_amount="8.25",
        freight="10",
        purchase_order_number="PO-7",
    )
    assert (order["status"], order["version"]) == ("draft", 1)
    assert order["order_number"].startswith("SO-")
    assert order["shipping_address"]["city"] == "Oslo"
    assert order["territory_id"] == str(shop.cast.alice.territory_id)
    assert [Decimal(line["net"]) for line in order["lines"]] == [Decimal(1700), Decimal(3)]
    assert [line["line_no"] for line in order["lines"]] == [1, 2]
    assert Decimal(order["sub_total"]) == 1703
    assert Decimal(order["total_due"]) == Decimal("1721.25")
    event = shop.world.outbox("orders")[-1]
    assert (event["type"], event["payload"]["order_number"]) == ("SALES_ORDER_CREATED", order["order_number"])


def test_line_nets_are_exact_and_only_the_subtotal_is_rounded_half_even(shop):
    line = {"product_id": shop.bell, "quantity": "1", "unit_price": "0.0001", "discount": "0.5"}
    order = shop.draft(line)
    assert Decimal(order["lines"][0]["net"]) == Decimal("0.00005")
    assert Decimal(order["sub_total"]) == Decimal("0.0000")
    three = shop.draft(line, line, line)
    assert Decimal(three["sub_total"]) == Decimal("0.0002")


def test_large_amounts_keep_every_digit(shop):
    order = shop.draft(
        {"product_id": shop.bell, "quantity": "7", "unit_price": "12345678901234.5678", "discount": "0.000001"}
    )
    exact = 7 * Decimal("12345678901234.5678") * Decimal("0.999999")
    assert Decimal(order["lines"][0]["net"]) == Decimal("86419665888889.6659580254")
    assert abs(Decimal(order["sub_total"]) - exact) <= Decimal("0.00005")


def test_a_draft_may_be_empty(shop):
    order = shop.cast.alice.post(PATH, {"account_uuid": shop.account}).json()
    assert (order["lines"], Decimal(order["sub_total"])) == ([], 0)


def test_the_accounts_ways_are_the_orders_unless_it_says_otherwise(shop):
    profile = f"/api/orders/account-profiles/{shop.account}"
    assert shop.cast.alice.post(f"{profile}/set-default-shipping-method", {"default_shipping_method": "Rail"}).json()
    assert shop.draft()["shipping_method"] == "Rail"
    assert shop.draft(shipping_method="Air")["shipping_method"] == "Air"


def test_an_account_that_is_not_taxable_carries_no_tax(shop, refused):
    shop.cast.alice.post(f"/api/orders/account-profiles/{shop.account}/set-taxable", {"is_taxable": False})
    body = {"account_uuid": shop.account, "tax_amount": "0.01"}
    refused(shop.cast.alice.post(PATH, body), "tax_amount")
    order = shop.draft()
    refused(shop.act(order, "update", tax_amount="1"), "tax_amount")


def test_bob_may_not_and_charlie_cannot_use_alices_account(shop, refused):
    body = {"account_uuid": shop.account}
    assert shop.cast.bob.post(PATH, body).status_code == 403
    unseen = shop.cast.charlie.post(PATH, body)
    absent = shop.cast.charlie.post(PATH, {"account_uuid": str(uuid4())})
    refused(unseen, "account_uuid")
    assert unseen.json()["errors"][0]["code"] == absent.json()["errors"][0]["code"] == "unknown"
    order = shop.draft()
    assert shop.cast.charlie.get(f"{PATH}/{order['id']}").status_code == 404


@pytest.mark.parametrize(
    ("header", "line", "field"),
    [
        ({}, {"quantity": -1}, "lines.0.quantity"),
        ({}, {"quantity": 0}, "lines.0.quantity"),
        ({}, {"quantity": "NaN"}, "lines.0.quantity"),
        ({}, {"quantity": "one"}, "lines.0.quantity"),
        ({}, {"discount": "1.01"}, "lines.0.discount"),
        ({}, {"discount": "-0.1"}, "lines.0.discount"),
        ({}, {"unit_price": "-1"}, "lines.0.unit_price"),
        ({}, {"product_id": str(uuid4())}, "lines.0.product_id"),
        ({}, {"colour": "red"}, "lines.0.colour"),
        ({"account_uuid": str(uuid4())}, {}, "account_uuid"),
        ({"channel": "fax"}, {}, "channel"),
        ({"currency": "EUR"}, {}, "lines.0.unit_price"),
        ({"freight": "-1"}, {}, "freight"),
        ({"order_date": "yesterday"}, {}, "order_date"),
        ({"order_date": "2026-05-02", "due_date": "2026-05-01"}, {}, "due_date"),
        ({"order_number": "SO-1"}, {}, "order_number"),
        ({"sub_total": "1"}, {}, "sub_total"),
        ({}, {"quantity": "9" * 15, "unit_price": "9" * 15}, "lines"),
        ({"purchase_order_number": "x" * 61}, {}, "purchase_order_number"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(shop, refused, header, line, field):
    before = shop.world.count("orders.sales_order")
    body = {"account_uuid": shop.account, "lines": [{"product_id": shop.bike, "quantity": 1} | line]} | header
    refused(shop.cast.alice.post(PATH, body), field)
    assert shop.world.count("orders.sales_order") == before


def test_a_product_without_a_price_needs_one(shop, refused):
    body = {"account_uuid": shop.account, "lines": [{"product_id": shop.coin, "quantity": 1}]}
    refused(shop.cast.alice.post(PATH, body), "lines.0.unit_price")
    body["lines"][0]["unit_price"] = "5"
    assert shop.cast.alice.post(PATH, body).status_code == 201


def test_a_withdrawn_product_is_not_sold(shop, refused):
    shop.cast.admin.post(f"/api/inventory/products/{shop.bike}/discontinue")
    shop.world.settle()
    body = {"account_uuid": shop.account, "lines": [{"product_id": shop.bike, "quantity": 1}]}
    refused(shop.cast.alice.post(PATH, body), "lines.0.product_id")
