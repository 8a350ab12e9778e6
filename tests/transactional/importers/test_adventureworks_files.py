"""AdventureWorks as it is read from its files: the published totals, and what happens with files that are broken."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.datasets import folder
from transactional.importers import adventureworks
from transactional.importers.company import Company
from transactional.importers.sheets import MissingInput


@pytest.fixture(scope="module")
def files() -> Path:
    return folder("adventureworks")


@pytest.fixture(scope="module")
def company(files: Path) -> Company:
    return adventureworks.read(files)


@pytest.fixture
def copy(files: Path, tmp_path: Path) -> Path:
    """A directory of one's own to break things in."""
    for file in files.glob("*.parquet"):
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def rewrite(directory: Path, sheet: str, *change: pl.Expr, **changes: pl.Expr) -> None:
    path = directory / f"{sheet}.parquet"
    frame = pl.read_parquet(path).with_columns(*change, **changes)
    path.unlink()
    frame.write_parquet(path)


def test_the_published_totals_are_read(company: Company) -> None:
    assert company.accounts.height == 19_820
    assert company.products.height == 504
    assert company.orders.height == 31_465
    lines = company.orders["lines"].explode().struct.unnest()
    assert lines.height == 121_317
    total = sum(
        (q * price * (1 - share) for q, price, share in lines.select("quantity", "unit_price", "discount").iter_rows()),
        Decimal(0),
    )
    assert total == Decimal("109846381.399888")
    by_channel = dict(company.orders.group_by("channel").agg(pl.col("sub_total").sum()).iter_rows())
    assert by_channel == {"online": Decimal("29358677.2207"), "reseller": Decimal("80487704.1832")}
    assert company.orders["tax_amount"].sum() == Decimal("10186974.4602")
    assert company.orders["freight"].sum() == Decimal("3183430.2518")
    assert company.rejections == []


def test_each_reference_is_unique_and_points_at_a_row(company: Company) -> None:
    for frame, column, target in (
        (company.accounts, "parent_ref", company.accounts),
        (company.accounts, "owner_ref", company.users),
        (company.accounts, "territory_ref", company.territories),
        (company.contacts, "account_ref", company.accounts),
        (company.products, "category_ref", company.categories),
        (company.orders, "account_ref", company.accounts),
        (company.orders, "owner_ref", company.users),
        (company.users, "team_ref", company.teams),
    ):
        assert target["ref"].is_unique().all()
        assert (
            frame.filter(pl.col(column).is_not_null())
            .join(target, left_on=column, right_on="ref", how="anti")
            .is_empty()
        )


def test_second_customer_rows_of_a_store_are_its_children(company: Company) -> None:
    children = company.accounts.filter(pl.col("parent_ref").is_not_null())
    assert children.height == 635
    assert children["parent_ref"].n_unique() == 635
    parents = company.accounts.filter(pl.col("ref").is_in(children["parent_ref"].implode()))
    assert parents["parent_ref"].null_count() == 635
    buyer = children.row(by_predicate=pl.col("ref") == "customer:29484", named=True)
    assert (buyer["parent_ref"], buyer["name"]) == ("customer:585", "Next-Door Bike Store – Gustavo Achong")


def test_an_account_of_a_store_belongs_to_its_sales_person(company: Company) -> None:
    store = company.accounts.row(by_predicate=pl.col("ref") == "customer:585", named=True)
    assert (store["owner_ref"], store["team_ref"], store["territory_ref"]) == ("user:279", "team:274", "territory:5")
    assert store["annual_revenue"] == Decimal(80_000)
    assert store["billing_address"]["city"] == "Memphis"


def test_contacts_are_the_customers_persons(company: Company) -> None:
    assert company.contacts.height == 18_484 + 753 + 289
    achong = company.contacts.row(by_predicate=pl.col("ref") == "person:291", named=True)
    assert achong["account_ref"] == "customer:585"
    assert achong["memberships"] == [
        {"account_ref": "customer:585", "role": "Owner", "primary": True},
        {"account_ref": "customer:29484", "role": "Buyer", "primary": True},
    ]
    primaries = company.contacts["memberships"].explode().struct.unnest().filter("primary")["account_ref"]
    assert primaries.is_unique().all()
    assert primaries.len() == 19_820


def test_representatives_are_in_their_managers_team(company: Company) -> None:
    assert company.users.height == 17
    blythe = company.users.row(by_predicate=pl.col("username") == "michael9", named=True)
    assert (blythe["roles"], blythe["team_ref"], blythe["territory_refs"]) == (
        ["sales_rep"],
        "team:274",
        ["territory:2"],
    )
    manager = company.users.row(by_predicate=pl.col("ref") == "user:287", named=True)
    assert manager["roles"] == ["sales_manager"]
    assert manager["territory_refs"] == ["territory:10", "territory:7", "territory:8"]


def test_a_product_has_one_price_on_every_day_it_was_sold(company: Company) -> None:
    helmet = company.products.row(by_predicate=pl.col("sku") == "HL-U509-R", named=True)
    assert [str(price["amount"]) for price in helmet["prices"]] == ["33.6442", "33.6442", "34.9900"]
    for prices in company.products["prices"].drop_nulls():
        days = prices.struct.unnest().sort("valid_from")
        assert (days["valid_to"].shift(1) < days["valid_from"]).drop_nulls().all()
    unpriced = company.products.filter(pl.col("prices").is_null() & (pl.col("list_price") > 0))
    assert unpriced.is_empty()


def test_orders_keep_their_currency_without_conversion(company: Company) -> None:
    counts = dict(company.orders["currency"].value_counts().iter_rows())
    assert counts == {"USD": 17_489, "AUD": 6_675, "CAD": 3_839, "GBP": 3_155, "EUR": 172, "DEM": 76, "FRF": 59}


def test_every_missing_file_and_column_is_named_at_once(copy: Path) -> None:
    (copy / "Sales.Customer.parquet").unlink()
    path = copy / "Sales.SalesOrderHeader.parquet"
    frame = pl.read_parquet(path).drop("Freight")
    path.unlink()
    frame.write_parquet(path)
    (copy / "Sales.Store.parquet").unlink()
    (copy / "Sales.Store.parquet").write_text("no parquet")
    with pytest.raises(MissingInput) as caught:
        adventureworks.read(copy)
    assert "file Sales.Customer.parquet is absent" in caught.value.missing
    assert "column Freight of Sales.SalesOrderHeader.parquet is absent" in caught.value.missing
    assert any(entry.startswith("file Sales.Store.parquet is not readable parquet") for entry in caught.value.missing)
    assert len(caught.value.missing) == 3


def test_a_file_that_was_cut_short_is_named(copy: Path) -> None:
    path = copy / "Sales.SalesOrderDetail.parquet"
    whole = bytearray(path.read_bytes())
    whole[1000:50_000] = bytes(49_000)
    path.unlink()
    path.write_bytes(bytes(whole))
    with pytest.raises(MissingInput, match=r"Sales\.SalesOrderDetail\.parquet cannot be read"):
        adventureworks.read(copy)


def test_a_bad_line_rejects_its_order_and_nothing_else(copy: Path) -> None:
    rewrite(
        copy,
        "Sales.SalesOrderDetail",
        OrderQty=pl.when(pl.col("SalesOrderDetailID") == 2).then(-3).otherwise("OrderQty"),
    )
    company = adventureworks.read(copy)
    assert company.orders.height == 31_464
    assert "order:43659" not in company.orders["ref"]
    (line, header) = company.rejections
    assert (line.file, line.row, line.reason) == ("Sales.SalesOrderDetail.parquet", 2, "OrderQty -3 is not above zero")
    assert header.file == "Sales.SalesOrderHeader.parquet"
    assert "row 2 of Sales.SalesOrderDetail.parquet" in header.reason


def test_a_bad_customer_takes_its_orders_along_each_reported(copy: Path) -> None:
    rewrite(
        copy,
        "Sales.Customer",
        TerritoryID=pl.when(pl.col("CustomerID") == 29_825).then(99).otherwise("TerritoryID"),
    )
    company = adventureworks.read(copy)
    by_file = {rejection.file: rejection for rejection in company.rejections}
    assert by_file["Sales.Customer.parquet"].reason == "TerritoryID 99 is no territory that can be imported"
    assert by_file["Sales.SalesOrderHeader.parquet"].reason == ("CustomerID 29825 is no customer that can be imported")
    assert company.accounts.height == 19_819
    assert company.orders.height + sum(r.file == "Sales.SalesOrderHeader.parquet" for r in company.rejections) == 31_465


def test_values_of_another_type_are_read_or_reported_row_by_row(copy: Path) -> None:
    text = pl.col("CustomerID").cast(pl.String)
    rewrite(copy, "Sales.Customer", CustomerID=pl.when(text == "7").then(pl.lit("seven")).otherwise(text))
    company = adventureworks.read(copy)
    assert company.accounts.height == 19_819
    assert [(r.file, r.row, r.reason) for r in company.rejections] == [
        ("Sales.Customer.parquet", 7, "CustomerID 'seven' is not a whole number")
    ]


def test_a_repeated_key_is_reported_and_the_first_row_counts(copy: Path) -> None:
    rewrite(copy, "Production.Product", ProductID=pl.when(pl.col("ProductID") == 2).then(1).otherwise("ProductID"))
    company = adventureworks.read(copy)
    reasons = [r.reason for r in company.rejections if r.file == "Production.Product.parquet"]
    assert reasons == ["ProductID 1 stands in an earlier row already"]
    assert company.products.row(by_predicate=pl.col("ref") == "product:1", named=True)["name"] == "Adjustable Race"


def test_the_files_are_left_as_they_are(files: Path, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in files.iterdir()}
    adventureworks.read(files)
    assert {path.name: path.stat().st_mtime_ns for path in files.iterdir()} == before
    shutil.rmtree(tmp_path)
