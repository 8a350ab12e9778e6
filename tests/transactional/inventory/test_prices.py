"""One price a day, product and currency: by the commands, and by the database when two write at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

PATH = "/api/inventory/products"


def day(offset):
    return str(datetime.now(UTC).date() + timedelta(days=offset))


def set_price(person, product, **body):
    return person.post(f"{PATH}/{product['id']}/set-price", body)


def periods(cast, product):
    found = cast.alice.get("/api/inventory/product-prices", {"product_id": product["id"]}).json()["items"]
    return sorted((p["valid_from"], p["valid_to"], p["amount"]) for p in found)


@pytest.fixture
def bike(product):
    return product(list_price="10", sell_start=day(-30))


class TestSetPrice:
    def test_the_open_price_ends_the_day_before(self, world, cast, bike):
        changed = set_price(cast.alice, bike, amount="12").json()
        assert changed["list_price"] == "12.0000"
        assert periods(cast, bike) == [(day(-30), day(-1), "10.0000"), (day(0), None, "12.0000")]
        assert Decimal(world.outbox("inventory")[-1]["payload"]["list_price"]) == 12

    def test_a_future_price_waits_for_its_day(self, world, cast, bike):
        before = len(world.outbox("inventory"))
        assert set_price(cast.alice, bike, amount="12", valid_from=day(7)).json()["list_price"] == "10.0000"
        assert len(world.outbox("inventory")) == before

    def test_another_currency_is_another_price(self, cast, bike):
        assert set_price(cast.alice, bike, amount="9", currency="EUR").json()["list_price"] == "10.0000"
        assert len(periods(cast, bike)) == 2

    def test_an_overlap_with_a_settled_period_is_refused(self, cast, bike):
        set_price(cast.alice, bike, amount="12", valid_from=day(5), valid_to=day(9))
        for first, last in ((9, None), (1, 5), (6, 7), (1, 30)):
            answer = set_price(cast.alice, bike, amount="1", valid_from=day(first), valid_to=last and day(last))
            assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "overlap")
        assert set_price(cast.alice, bike, amount="1", valid_from=day(10)).status_code == 200

    def test_bob_may_not_and_what_is_not_there_is_not_found(self, cast, bike):
        assert set_price(cast.bob, bike, amount="1").status_code == 403
        assert set_price(cast.alice, {"id": uuid4()}, amount="1").status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "amount"),
            ({"amount": "-1"}, "amount"),
            ({"amount": "NaN"}, "amount"),
            ({"amount": "1", "currency": "dollar"}, "currency"),
            ({"amount": "1", "valid_from": "2026-02-30"}, "valid_from"),
            ({"amount": "1", "valid_from": day(3), "valid_to": day(2)}, "valid_to"),
        ],
    )
    def test_bad_input_is_named(self, cast, bike, body, field):
        answer = set_price(cast.alice, bike, **body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


class TestRefreshListPrice:
    def test_the_list_price_becomes_the_one_in_force(self, world, cast, bike):
        with world.superuser() as owner:
            owner.execute("update inventory.product set list_price = 1 where id = %s", [bike["id"]])
        answer = cast.alice.post(f"{PATH}/{bike['id']}/refresh-list-price")
        assert answer.json()["list_price"] == "10.0000"
        assert world.outbox("inventory")[-1]["payload"]["list_price"] == "10.0000"

    def test_bob_may_not(self, cast, bike):
        assert cast.bob.post(f"{PATH}/{bike['id']}/refresh-list-price").status_code == 403


INSERT = """
insert into product_price (id, product_id, amount, currency, valid_from, valid_to,
  version, created_at, updated_at, custom)
values (gen_random_uuid(), %s, %s, 'USD', %s, %s, 1, now(), now(), '{}')
"""


class TestDatabase:
    @pytest.mark.parametrize(("first", "last"), [(-40, -30), (-40, None), (0, 0), (100, None)])
    def test_no_overlap_even_by_one_day(self, world, bike, first, last):
        values = [bike["id"], 1, day(first), last if last is None else day(last)]
        with (
            world.as_role("hw_inventory") as inventory,
            pytest.raises(psycopg.errors.CheckViolation, match=r"price of 10\.0000 USD"),
        ):
            inventory.execute(INSERT, values)

    def test_neighbours_are_no_overlap_and_order_does_not_matter(self, world, bike):
        with world.as_role("hw_inventory") as inventory:
            inventory.autocommit = False
            inventory.execute(INSERT, [bike["id"], 2, day(0), None])
            inventory.execute(
                "update product_price set valid_to = %s where product_id = %s and amount = 10", [day(-1), bike["id"]]
            )
            inventory.commit()

    def test_of_two_transactions_that_overlap_one_is_refused(self, world, product):
        made = product()
        with world.as_role("hw_inventory") as first, world.as_role("hw_inventory") as second:
            first.autocommit = second.autocommit = False
            first.execute(INSERT, [made["id"], 1, day(0), None])
            second.execute(INSERT, [made["id"], 2, day(1), None])
            first.execute("set constraints all immediate")
            refused: list[psycopg.Error] = []

            def commit() -> None:
                try:
                    second.commit()
                except psycopg.Error as error:
                    refused.append(error)

            other = threading.Thread(target=commit)
            other.start()
            waiting = "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
            with world.superuser() as watch:
                while other.is_alive() and not watch.execute(waiting, [second.info.backend_pid]).fetchone():
                    pass
            first.commit()
            other.join()
        assert [error.sqlstate for error in refused] == ["23514"]

    @pytest.mark.parametrize("change", ["amount = -1", "amount = 'NaN'", "valid_to = valid_from - 1"])
    def test_a_price_that_cannot_be(self, world, bike, change):
        with world.as_role("hw_inventory") as inventory, pytest.raises(psycopg.errors.CheckViolation):
            inventory.execute(f"update product_price set {change} where product_id = %s".encode(), [bike["id"]])

    @pytest.mark.parametrize(
        "change",
        ["standard_cost = -1", "list_price = -1", "list_price = 'NaN'", "sell_end = sell_start - 1"],
    )
    def test_a_product_that_cannot_be(self, world, bike, change):
        with world.as_role("hw_inventory") as inventory, pytest.raises(psycopg.errors.CheckViolation):
            inventory.execute(f"update product set {change} where id = %s".encode(), [bike["id"]])

    def test_a_sku_is_unique(self, world, bike, product):
        other = product()
        with world.as_role("hw_inventory") as inventory, pytest.raises(psycopg.errors.UniqueViolation):
            inventory.execute("update product set sku = %s where id = %s", [other["sku"], bike["id"]])
