"""Products: one SKU each, told to everyone who keeps a copy, and withdrawn rather than deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

PATH = "/api/inventory/products"


def day(offset):
    return str(datetime.now(UTC).date() + timedelta(days=offset))


def prices(cast, product):
    found = cast.alice.get("/api/inventory/product-prices", {"product_id": product["id"]}).json()["items"]
    return sorted((p["valid_from"], p["valid_to"], p["amount"], p["currency"]) for p in found)


class TestCreate:
    def test_alice_creates_a_product_with_its_price(self, world, cast, category, product):
        made = product(category_id=category(), list_price="12.3400", standard_cost="7", color="Red", size="L")
        assert (made["is_active"], made["list_price"], made["sell_start"]) == (True, "12.3400", day(0))
        assert prices(cast, made) == [(day(0), None, "12.3400", "USD")]
        event = world.outbox("inventory")[-1]
        assert (event["type"], event["payload"]["sku"], event["payload"]["list_price"]) == (
            "PRODUCT_CREATED",
            made["sku"],
            "12.3400",
        )

    def test_with_a_history_the_list_price_is_the_one_in_force(self, cast, product):
        made = product(
            prices=[
                {"amount": "1", "valid_from": day(-20), "valid_to": day(-11)},
                {"amount": "2", "valid_from": day(-10)},
                {"amount": "9", "currency": "EUR", "valid_from": day(-10)},
            ]
        )
        assert made["list_price"] == "2.0000"
        assert len(prices(cast, made)) == 3

    def test_a_product_whose_last_day_has_passed_is_not_active(self, product):
        assert product(sell_start=day(-10), sell_end=day(-1))["is_active"] is False

    def test_a_sku_is_taken_once(self, cast, product):
        answer = cast.alice.post(PATH, {"sku": product()["sku"], "name": "Copy"})
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "sku_taken")

    def test_bob_may_not_but_the_catalogue_is_everyones_to_read(self, cast, product):
        assert cast.bob.post(PATH, {"sku": "X", "name": "X"}).status_code == 403
        made = product()
        assert cast.bob.get(f"{PATH}/{made['id']}").status_code == 200
        assert cast.charlie.get(f"{PATH}/{made['id']}").status_code == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"sku": ""}, "sku"),
            ({"sku": "x" * 61}, "sku"),
            ({"name": None}, "name"),
            ({"list_price": "-1"}, "list_price"),
            ({"standard_cost": "-0.01"}, "standard_cost"),
            ({"category_id": str(uuid4())}, "category_id"),
            ({"currency": "usd"}, "currency"),
            ({"sell_start": "2026-02-02", "sell_end": "2026-02-01"}, "sell_end"),
            ({"sell_end": "2000-01-01"}, "sell_end"),
            ({"weight": 3}, "weight"),
            ({"prices": [{"amount": "1"}]}, "prices.0.valid_from"),
            ({"prices": [{"amount": "1", "valid_from": "2026-02-02", "valid_to": "2026-02-01"}]}, "prices.0.valid_to"),
            (
                {"prices": [{"amount": "1", "valid_from": "2026-02-01"}, {"amount": "1", "valid_from": "2026-03-01"}]},
                "prices.1.valid_from",
            ),
        ],
    )
    def test_bad_input_is_named(self, cast, body, field):
        answer = cast.alice.post(PATH, {"sku": f"S-{uuid4().hex[:8]}", "name": "X"} | body)
        assert answer.status_code == 422
        assert field in [error["field"] for error in answer.json()["errors"]]


class TestUpdate:
    def test_alice_edits_and_says_so(self, world, cast, product):
        made = product()
        changed = cast.alice.post(f"{PATH}/{made['id']}/update", {"name": "City bike", "color": "Blue"}).json()
        assert (changed["name"], changed["color"], changed["version"]) == ("City bike", "Blue", 2)
        event = world.outbox("inventory")[-1]
        assert (event["type"], event["aggregate_version"]) == ("PRODUCT_UPDATED", 2)

    def test_a_sku_is_taken_once(self, cast, product):
        one, two = product(), product()
        assert cast.alice.post(f"{PATH}/{two['id']}/update", {"sku": one["sku"]}).status_code == 409

    def test_bob_may_not_and_what_is_not_there_is_not_found(self, cast, product):
        assert cast.bob.post(f"{PATH}/{product()['id']}/update", {"name": "X"}).status_code == 403
        assert cast.alice.post(f"{PATH}/{uuid4()}/update", {"name": "X"}).status_code == 404

    def test_bad_input_is_named(self, cast, product):
        made = product()
        for body, field in (
            ({"list_price": "1"}, "list_price"),
            ({"category_id": str(uuid4())}, "category_id"),
            ({"sku": None}, "sku"),
        ):
            answer = cast.alice.post(f"{PATH}/{made['id']}/update", body)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    def test_a_stale_version_is_refused(self, cast, product):
        made = product()
        cast.alice.post(f"{PATH}/{made['id']}/update", {"name": "First"})
        assert cast.alice.post(f"{PATH}/{made['id']}/update", {"name": "Second"}, if_match=1).status_code == 409


class TestDiscontinue:
    def test_alice_withdraws_a_product_once(self, world, cast, product):
        made = product()
        gone = cast.alice.post(f"{PATH}/{made['id']}/discontinue").json()
        assert (gone["is_active"], gone["sell_end"]) == (False, day(0))
        assert world.outbox("inventory")[-1]["payload"]["is_active"] is False
        assert cast.alice.post(f"{PATH}/{made['id']}/discontinue").status_code == 409
        actions = cast.alice.get(f"{PATH}/{made['id']}").json()["allowed_actions"]
        assert "inventory.discontinue_product" not in [action["command"] for action in actions]

    def test_bob_may_not(self, cast, product):
        assert cast.bob.post(f"{PATH}/{product()['id']}/discontinue").status_code == 403

    def test_not_before_it_is_sold(self, cast, product):
        answer = cast.alice.post(f"{PATH}/{product()['id']}/discontinue", {"sell_end": day(-1)})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "sell_end")
