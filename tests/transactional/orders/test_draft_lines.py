"""A draft is changed line by line; its subtotal and version follow."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

PATH = "/api/orders/sales-orders"


class TestHeader:
    def test_alice_edits_the_header(self, shop):
        order = shop.draft()
        changed = shop.act(order, "update", freight="12.5", shipping_method="Air", custom={"gift": True}).json()
        assert (changed["freight"], changed["shipping_method"], changed["custom"]) == ("12.5000", "Air", {"gift": True})
        assert (changed["version"], changed["sub_total"]) == (2, order["sub_total"])

    def test_bob_may_not_and_charlie_finds_nothing(self, shop):
        order = shop.draft()
        assert shop.act(order, "update", person=shop.cast.bob, freight="1").status_code == 403
        assert shop.act(order, "update", person=shop.cast.charlie, freight="1").status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [({"status": "shipped"}, "status"), ({"freight": "-1"}, "freight"), ({"due_date": "2000-01-01"}, "due_date")],
    )
    def test_bad_input_is_named(self, shop, refused, body, field):
        refused(shop.act(shop.draft(), "update", **body), field)

    def test_a_stale_version_is_refused(self, shop):
        order = shop.draft()
        shop.act(order, "add-line", product_id=shop.bell, quantity=3)
        assert shop.act(order, "update", if_match=1, freight="1").status_code == 409


class TestAddLine:
    def test_alice_adds_a_line(self, shop):
        order = shop.act(shop.draft(), "add-line", product_id=shop.bell, quantity=3).json()
        assert [(line["line_no"], line["unit_price"]) for line in order["lines"]] == [(1, "1000.0000"), (2, "0.3333")]
        assert (Decimal(order["sub_total"]), order["version"]) == (Decimal("1000.9999"), 2)

    def test_bob_may_not_and_charlie_finds_nothing(self, shop):
        order = shop.draft()
        for person, status in ((shop.cast.bob, 403), (shop.cast.charlie, 404)):
            assert shop.act(order, "add-line", person=person, product_id=shop.bell, quantity=1).status_code == status

    def test_bad_input_is_named(self, shop, refused):
        order = shop.draft()
        refused(shop.act(order, "add-line", product_id=shop.bell, quantity=-1), "quantity")
        refused(shop.act(order, "add-line", product_id=str(uuid4()), quantity=1), "product_id")
        refused(shop.act(order, "add-line", product_id=shop.coin, quantity=1), "unit_price")
        assert shop.read(order)["version"] == 1


class TestUpdateLine:
    def test_alice_changes_a_line(self, shop):
        order = shop.act(shop.draft(), "update-line", line_no=1, quantity=2, discount="0.1").json()
        assert (Decimal(order["sub_total"]), order["version"]) == (1800, 2)
        assert order["lines"][0]["unit_price"] == "1000.0000"

    def test_nothing_differs_nothing_happens(self, shop):
        assert shop.act(shop.draft(), "update-line", line_no=1, quantity="1.0").json()["version"] == 1

    def test_bob_may_not_and_charlie_finds_nothing(self, shop):
        order = shop.draft()
        for person, status in ((shop.cast.bob, 403), (shop.cast.charlie, 404)):
            assert shop.act(order, "update-line", person=person, line_no=1, quantity=2).status_code == status

    def test_bad_input_is_named(self, shop, refused):
        order = shop.draft()
        refused(shop.act(order, "update-line", line_no=2, quantity=1), "line_no")
        refused(shop.act(order, "update-line", line_no=0, quantity=1), "line_no")
        refused(shop.act(order, "update-line", line_no=2**31, quantity=1), "line_no")
        refused(shop.act(order, "update-line", line_no=1, quantity="9" * 15), "quantity")
        refused(shop.act(order, "update-line", line_no=1, quantity=0), "quantity")
        refused(shop.act(order, "update-line", line_no=1, discount=2), "discount")


class TestRemoveLine:
    def test_alice_takes_a_line_off_and_the_others_keep_their_numbers(self, shop):
        order = shop.draft({"product_id": shop.bike, "quantity": 1}, {"product_id": shop.bell, "quantity": 3})
        left = shop.act(order, "remove-line", line_no=1).json()
        assert ([line["line_no"] for line in left["lines"]], Decimal(left["sub_total"])) == ([2], Decimal("0.9999"))
        assert shop.act(order, "add-line", product_id=shop.bell, quantity=1).json()["lines"][-1]["line_no"] == 3

    def test_bob_may_not_and_charlie_finds_nothing(self, shop):
        order = shop.draft()
        for person, status in ((shop.cast.bob, 403), (shop.cast.charlie, 404)):
            assert shop.act(order, "remove-line", person=person, line_no=1).status_code == status

    def test_bad_input_is_named(self, shop, refused):
        refused(shop.act(shop.draft(), "remove-line", line_no=7), "line_no")


def test_only_a_draft_changes(shop):
    order = shop.draft()
    shop.act(order, "confirm")
    for verb, body in (
        ("update", {"freight": "1"}),
        ("add-line", {"product_id": shop.bell, "quantity": 1}),
        ("update-line", {"line_no": 1, "quantity": 2}),
        ("remove-line", {"line_no": 1}),
    ):
        answer = shop.act(order, verb, **body)
        assert (answer.status_code, answer.json()["state"]) == (409, "confirmed")
