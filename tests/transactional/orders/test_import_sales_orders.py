"""Orders made elsewhere: taken over as they stand, a verdict for each, twice the same, and only where they add up."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

PATH = "/api/orders/sales-orders"


@pytest.fixture
def bring(shop):
    """Sends rows of orders as an administrator; a row is a shipped order of one bike unless it says otherwise."""

    def send(*orders, person=None, keys=None, key=None):
        rows = []
        for number, order in enumerate(orders):
            data = {
                "account_uuid": shop.account,
                "status": "shipped",
                "channel": "online",
                "order_date": "2011-05-31",
                "due_date": "2011-06-12",
                "ship_date": "2011-06-07",
                "currency": "USD",
                "sub_total": "1000",
                "lines": [{"product_id": shop.bike, "quantity": 1, "unit_price": "1000"}],
            } | order
            reference = keys[number] if keys else str(uuid4())
            rows.append({"key": {"source": "history", "key": reference}, "data": data})
        return (person or shop.cast.admin).post(f"{PATH}/bulk", {"rows": rows}, key=key)

    return send


def verdicts(answer):
    assert answer.status_code == 200, answer.content
    return [(v["status"], [e["field"].partition(".data.")[2] for e in v["errors"]]) for v in answer.json()["verdicts"]]


def test_an_order_arrives_as_it_was(shop, bring):
    answer = bring(
        {
            "order_number": "SO43659",
            "sub_total": "2024.9940",
            "tax_amount": "1971.5149",
            "freight": "616.0984",
            "purchase_order_number": "PO522145787",
            "custom": {"sales_reasons": ["Price"]},
            "lines": [
                {"product_id": shop.bike, "quantity": 1, "unit_price": "2024.994", "carrier_tracking_number": "4911"}
            ],
        }
    )
    order = shop.cast.alice.get(f"{PATH}/{answer.json()['verdicts'][0]['id']}").json()
    assert (order["order_number"], order["status"], order["ship_date"]) == ("SO43659", "shipped", "2011-06-07")
    assert (order["sub_total"], order["tax_amount"], order["freight"]) == ("2024.9940", "1971.5149", "616.0984")
    assert order["lines"][0]["carrier_tracking_number"] == "4911"
    assert order["custom"] == {"sales_reasons": ["Price"]}
    assert order["territory_id"] == str(shop.cast.alice.territory_id)


def test_history_emits_no_events(shop, bring):
    before = len(shop.world.outbox("orders"))
    assert verdicts(bring({}, {})) == [("created", [])] * 2
    assert len(shop.world.outbox("orders")) == before


def test_without_a_number_an_order_gets_one_of_ours(shop, bring):
    order_id = bring({}).json()["verdicts"][0]["id"]
    assert shop.cast.alice.get(f"{PATH}/{order_id}").json()["order_number"].startswith("SO-")


def test_a_header_keeps_its_own_subtotal_within_half_a_unit_of_the_last_place(shop, bring):
    lines = [{"product_id": shop.bike, "quantity": 1, "unit_price": "0.0001", "discount": "0.5"}]
    up, down, off = ({"sub_total": total, "lines": lines} for total in ("0.0001", "0.0000", "0.0002"))
    answer = bring(up, down, off)
    assert verdicts(answer) == [("created", []), ("created", []), ("rejected", ["sub_total"])]
    kept = shop.cast.alice.get(f"{PATH}/{answer.json()['verdicts'][0]['id']}").json()["sub_total"]
    assert Decimal(kept) == Decimal("0.0001")


def test_without_a_subtotal_an_order_gets_the_sum_of_its_lines(shop, bring):
    line = {"product_id": shop.bike, "quantity": 3, "unit_price": "9.99", "discount": "0.333333"}
    answer = bring({"sub_total": None, "lines": [line, line]})
    order = shop.cast.alice.get(f"{PATH}/{answer.json()['verdicts'][0]['id']}").json()
    assert Decimal(order["sub_total"]) == Decimal("39.9600")
    huge = line | {"quantity": "999999999999999", "unit_price": "999999999999999"}
    assert verdicts(bring({"sub_total": None, "lines": [huge]})) == [("rejected", ["lines"])]


def test_running_it_twice_changes_nothing(shop, bring):
    keys = [str(uuid4()) for _ in range(40)]
    first = bring(*[{}] * 40, keys=keys).json()
    orders, lines = shop.world.count("orders.sales_order"), shop.world.count("orders.sales_order_line")
    second = bring(*[{}] * 40, keys=keys).json()
    assert (first["created"], second["created"], second["exists"]) == (40, 0, 40)
    assert [v["id"] for v in first["verdicts"]] == [v["id"] for v in second["verdicts"]]
    assert shop.world.count("orders.sales_order") == orders
    assert shop.world.count("orders.sales_order_line") == lines


def test_a_bad_row_stops_no_other(shop, bring):
    line = {"product_id": shop.bike, "quantity": 1, "unit_price": "1000"}
    taken = f"T-{uuid4().hex[:8]}"
    answer = bring(
        {"order_number": taken},
        {"order_number": taken},
        {"order_number": "SO-000001"},
        {"account_uuid": str(uuid4())},
        {"lines": [line | {"product_id": str(uuid4())}]},
        {"lines": [line | {"quantity": -1}]},
        {"lines": [line | {"quantity": 0}]},
        {"lines": [line | {"discount": "1.5"}]},
        {"lines": [line | {"unit_price": "-1"}]},
        {"lines": []},
        {"lines": [line | {"line_no": 1, "quantity": "0.5"}, line | {"line_no": 1, "quantity": "0.5"}]},
        {"sub_total": "999.9999"},
        {"tax_amount": "-1"},
        {"status": "lost"},
        {"ship_date": None},
        {"ship_date": "2011-05-30"},
        {"due_date": "2011-05-30"},
        {"surprise": 1},
        {},
    )
    assert verdicts(answer) == [
        ("created", []),
        ("rejected", ["order_number"]),
        ("rejected", ["order_number"]),
        ("rejected", ["account_uuid"]),
        ("rejected", ["lines.0.product_id"]),
        ("rejected", ["lines.0.quantity"]),
        ("rejected", ["lines.0.quantity"]),
        ("rejected", ["lines.0.discount"]),
        ("rejected", ["lines.0.unit_price"]),
        ("rejected", ["lines"]),
        ("rejected", ["lines"]),
        ("rejected", ["sub_total"]),
        ("rejected", ["tax_amount"]),
        ("rejected", ["status"]),
        ("rejected", ["ship_date"]),
        ("rejected", ["ship_date"]),
        ("rejected", ["due_date"]),
        ("rejected", ["surprise"]),
        ("created", []),
    ]


def test_only_bad_rows_is_an_answer_too(bring):
    assert verdicts(bring({"sub_total": "1"})) == [("rejected", ["sub_total"])]


def test_history_is_an_administrators_business(shop, bring):
    for person in (shop.cast.alice, shop.cast.bob, shop.cast.charlie):
        assert bring({}, person=person).status_code == 403


def test_the_whole_chunk_is_one_transaction(shop, bring):
    bring(*[{}] * 30, keys=[f"chunk/{uuid4()}" for _ in range(30)])
    found = shop.world.rows(
        "select count(distinct xmin::text) as transactions from orders.sales_order where id in"
        " (select resource_id from orders.external_reference where key like 'chunk/%%')"
    )
    assert found == [{"transactions": 1}]
