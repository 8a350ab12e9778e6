"""Northwind as it is read from its files: the published totals, and what happens with rows that are broken."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.datasets import folder
from transactional.importers import northwind
from transactional.importers.company import Company
from transactional.importers.sheets import MissingInput


@pytest.fixture(scope="module")
def files() -> Path:
    return folder("northwind")


@pytest.fixture(scope="module")
def company(files: Path) -> Company:
    return northwind.read(files)


@pytest.fixture
def copy(files: Path, tmp_path: Path) -> Path:
    """A directory of one's own to break things in."""
    for file in files.glob("*.csv.gz"):
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def rewrite(directory: Path, sheet: str, old: str, new: str) -> None:
    path = directory / f"{sheet}.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert text.count(old) == 1
    path.unlink()
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


def net(company: Company) -> Decimal:
    lines = company.orders["lines"].explode().struct.unnest()
    rows = lines.select("quantity", "unit_price", "discount").iter_rows()
    return sum((quantity * price * (1 - share) for quantity, price, share in rows), Decimal(0))


def test_the_published_totals_are_read(company: Company) -> None:
    assert company.orders.height == 830
    assert company.orders["lines"].list.len().sum() == 2_155
    assert net(company) == Decimal("1265793.0395")
    assert company.products.height == 77
    assert dict(company.accounts.group_by("account_type").len().iter_rows()) == {"Customer": 91, "Vendor": 29}
    assert company.contacts.height == 120
    assert (company.territories.height, company.users.height) == (53, 9)
    assert company.rejections == []


def test_binary_fractions_become_the_amounts_that_were_typed(company: Company) -> None:
    order = company.orders.row(by_predicate=pl.col("order_number") == "10248", named=True)
    assert order["freight"] == Decimal("32.38")
    assert [line["unit_price"] for line in order["lines"]] == [Decimal("14"), Decimal("9.8"), Decimal("34.8")]
    shares = set(company.orders["lines"].explode().struct.field("discount"))
    assert shares == {Decimal(percent) / 100 for percent in (0, 1, 2, 3, 4, 5, 6, 10, 15, 20, 25)}


def test_who_manages_has_a_team_and_who_reports_is_in_it(company: Company) -> None:
    teams = dict(company.teams.select("ref", "parent_ref").iter_rows())
    assert teams == {"team:sales": None, "team:2": "team:sales", "team:5": "team:2"}
    members = dict(company.users.select("username", "team_ref").iter_rows())
    assert members["steven.buchanan"] == members["anne.dodsworth"] == "team:5"
    assert members["andrew.fuller"] == members["nancy.davolio"] == "team:2"


def test_names_addresses_and_countries(company: Company) -> None:
    people = set(company.contacts.select("first_name", "last_name").iter_rows())
    assert {("Isabel", "de Castro"), ("Maria", "Anders")} <= people
    countries = set(company.accounts["billing_address"].struct.field("country"))
    assert {"GB", "US", "DE", "VE"} <= countries
    assert None not in countries
    to_others = company.orders.filter(pl.col("order_number") == "10249")["shipping_address"][0]
    assert to_others["city"] == "Münster"


def test_a_broken_row_is_named_and_takes_what_needs_it_along(copy: Path) -> None:
    rewrite(copy, "customers", "Berlin,,12209,Germany", "Berlin,,12209,Germanny")
    rewrite(copy, "order_details", "10248,11,14,12,0", "10248,11,14,twelve,0")
    company = northwind.read(copy)
    reasons = {(r.file, r.row): r.reason for r in company.rejections}
    assert reasons["customers.csv.gz", 1] == "country Germanny is no country of ISO 3166-1"
    assert reasons["order_details.csv.gz", 1] == "quantity 'twelve' is not a whole number"
    assert reasons["orders.csv.gz", 1] == "its line in row 1 of order_details.csv.gz cannot be used"
    unknown = "customer_id ALFKI is no customer that can be imported"
    alfreds = [key for key, reason in reasons.items() if reason == unknown]
    assert len(alfreds) == 6
    assert company.orders.height == 830 - 7


def test_every_missing_file_and_column_is_named_at_once(copy: Path) -> None:
    (copy / "orders.csv.gz").unlink()
    (copy / "products.csv.gz").unlink()
    (copy / "products.csv.gz").write_bytes(b"no gzip")
    rewrite(copy, "shippers", "shipper_id,company_name,phone", "shipper_id,name,phone")
    with pytest.raises(MissingInput) as refused:
        northwind.read(copy)
    said = "; ".join(refused.value.missing)
    for fault in ("orders.csv.gz is absent", "products.csv.gz", "column company_name of shippers.csv.gz"):
        assert fault in said
