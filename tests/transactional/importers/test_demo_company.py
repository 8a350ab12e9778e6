"""The demo company: the same for everyone, and shaped like a real one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transactional.importers import demo
from transactional.importers.company import Company

FRAMES = ("territories", "teams", "users", "categories", "products", "accounts", "contacts", "orders")


@pytest.fixture(scope="module")
def company() -> Company:
    return demo.build()


def test_it_has_the_size_that_was_promised(company: Company) -> None:
    assert company.accounts.height == 2_000
    assert company.orders.height == 20_000
    assert company.products.height >= 120
    assert company.territories.height == 8
    days = company.orders["order_date"]
    assert (days.min(), days.max()) == (date(2023, 1, 2), date(2025, 12, 31))
    assert all(getattr(company, name)["ref"].is_unique().all() for name in FRAMES)


def test_the_same_seed_gives_the_same_company_and_another_one_another(company: Company) -> None:
    again = demo.build()
    for name in FRAMES:
        assert_frame_equal(getattr(again, name), getattr(company, name))
    other = demo.build(seed=7, size=demo.Size(accounts=200, orders=500))
    assert other.accounts["name"][0] != company.accounts["name"][0]


def test_the_reference_date_moves_everything(company: Company) -> None:
    later = demo.build(until=date(2027, 6, 30), size=demo.Size(accounts=200, orders=500))
    assert later.orders["order_date"].max() == date(2027, 6, 30)
    assert later.products["prices"].explode().struct.field("valid_from").max() == date(2027, 1, 1)


def test_orders_grow_and_have_seasons(company: Company) -> None:
    by_year = company.orders.group_by(pl.col("order_date").dt.year()).len().sort("order_date")["len"].to_list()
    assert by_year == sorted(by_year)
    by_month = company.orders.group_by(pl.col("order_date").dt.month()).len().sort("order_date")["len"].to_list()
    assert by_month[10] > 1.5 * by_month[6]


def test_there_are_whales_churners_and_prospects(company: Company) -> None:
    spent = company.orders.group_by("account_ref").agg(pl.col("sub_total").sum(), pl.col("order_date").max())
    top = spent.sort("sub_total", descending=True).head(40)["sub_total"].sum()
    assert top > Decimal("0.3") * spent["sub_total"].sum()
    silent = spent.filter(pl.col("order_date") < date(2025, 7, 1)).height
    assert silent > 300
    prospects = company.accounts.filter(pl.col("account_type") == "Prospect")
    assert prospects.join(spent, left_on="ref", right_on="account_ref").is_empty()
    assert prospects.height > 50


def test_header_amounts_are_those_of_the_lines(company: Company) -> None:
    lines = company.orders.select("ref", "sub_total", "lines").explode("lines").unnest("lines")
    totals: dict[str, Decimal] = {}
    for ref, quantity, price, share in lines.select("ref", "quantity", "unit_price", "discount").iter_rows():
        totals[ref] = totals.get(ref, Decimal(0)) + quantity * price * (1 - share)
    for ref, sub_total in company.orders.select("ref", "sub_total").iter_rows():
        assert abs(totals[ref] - sub_total) <= Decimal("0.00005")


def test_prices_of_lines_are_the_list_prices_of_their_day(company: Company) -> None:
    prices = company.products.select(product_ref="ref", price="prices").explode("price").unnest("price")
    lines = company.orders.select("order_date", "lines").explode("lines").unnest("lines").join(prices, on="product_ref")
    valid = lines.filter(pl.col("order_date").is_between("valid_from", pl.col("valid_to").fill_null(date(9999, 1, 1))))
    assert valid.height == company.orders["lines"].list.len().sum()
    assert (valid["unit_price"] == valid["amount"]).all()


def test_parents_stand_before_their_children(company: Company) -> None:
    place = dict(zip(company.accounts["ref"], range(company.accounts.height), strict=True))
    children = company.accounts.filter(pl.col("parent_ref").is_not_null())
    assert children.height > 100
    assert all(place[parent] < place[ref] for ref, parent in children.select("ref", "parent_ref").iter_rows())


def test_the_cast_is_there(company: Company) -> None:
    users = {row["username"]: row for row in company.users.iter_rows(named=True)}
    assert users["alice"]["roles"] == ["sales_rep"]
    assert users["bob"]["team_ref"] == users["alice"]["team_ref"]
    assert users["bob"]["roles"] != ["sales_rep"]
    assert not set(users["charlie"]["territory_refs"]) & set(users["alice"]["territory_refs"])
    assert users["dana"]["roles"] == ["accountant"]
    assert company.accounts.filter(pl.col("owner_ref") == "user:alice").height > 50
