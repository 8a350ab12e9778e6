"""Mappings proposed for files that nobody described: right where the header says it, doubtful where it does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import polars as pl
import pytest

from tests.datasets import folder
from tests.transactional.importers.tabular.conftest import Bench
from transactional.importers.tabular import mapping
from transactional.importers.tabular.errors import FileError, MappingError
from transactional.importers.tabular.guess import guess
from transactional.importers.tabular.targets import targets


def columns_of(proposal: str) -> dict[str, str]:
    """Field → column, of a proposal that is a valid mapping."""
    rules = mapping.check("proposal", tomllib.loads(proposal), targets())
    found = {field: ", ".join(rule.sources) for field, (rule, _) in rules.fields.items()}
    return found | {f"{name}.{f}": ", ".join(r.sources) for name, fs in rules.lists.items() for f, (r, _) in fs.items()}


def test_a_proposal_of_accounts_imports_as_it_stands(bench: Bench) -> None:
    path = bench.file(
        "Customer No;Company name;Sector;Turnover (million EUR);ZIP;Country;Fax;Founded\n"
        "00017;Müller & Söhne;Retail;1.234,5;04109;Germany;n/a;03.12.1999\n"
        "00018;Bolt;Retail;0,75;00100;Italy;n/a;31.01.2001\n",
        "customers.csv",
        encoding="windows-1252",
    )
    found = guess(path, targets())
    assert found.target.name == "accounts"
    assert columns_of(found.toml()) == {
        "name": "Company name",
        "industry": "Sector",
        "annual_revenue": "Turnover (million EUR)",
        "billing_address.postal_code": "ZIP",
        "billing_address.country": "Country",
        "currency": "",
        "custom.fax": "Fax",
        "custom.founded": "Founded",
    }
    outcome = bench.run(path, tomllib.loads(found.toml()))
    assert (outcome.created, outcome.rejected, outcome.encoding) == (2, 0, "windows-1252")
    (row,) = bench.world.rows(
        "select annual_revenue, currency, billing_address ->> 'country' as country, custom, key from contacts.account"
        " join contacts.external_reference on resource_id = account_uuid where name = 'Müller & Söhne'"
    )
    assert (str(row["annual_revenue"]), row["currency"], row["country"], row["key"]) == (
        "1234500000.0000",
        "EUR",
        "DE",
        "00017",
    )
    assert row["custom"] == {"fax": "n/a", "founded": "1999-12-03"}


@pytest.mark.parametrize(
    ("file", "target", "key"),
    [
        ("crm_sales/accounts.csv.gz", "accounts", ["account"]),
        ("crm_sales/products.csv.gz", "products", ["product"]),
        ("crm_sales/sales_pipeline.csv.gz", "sales-orders", ["opportunity_id"]),
        ("northwind/customers.csv.gz", "accounts", ["customer_id"]),
        ("northwind/products.csv.gz", "products", ["product_id"]),
        ("northwind/territories.csv.gz", "territories", ["territory_id"]),
        ("adventureworks/Production.Product.parquet", "products", ["ProductNumber"]),
    ],
)
def test_published_files_are_recognised(world: object, file: str, target: str, key: list[str]) -> None:
    name, _, rest = file.partition("/")
    found = guess(folder(name) / rest, targets())
    assert found.target.name == target
    assert [profile.name for profile in found.key] == key


def test_what_it_was_judged_by_is_said(bench: Bench) -> None:
    path = bench.file("id,name,when\n1,Acme,03/04/2026\n2,Bolt,05/06/2026\n", "things.csv")
    told = "\n".join(guess(path, targets(), target="accounts").lines())
    assert "first 2 rows of things.csv" in told
    assert "Key: id (all different, none empty)" in told
    assert "it could be %m/%d/%Y as well" in told


def test_lines_of_orders_with_their_customers_names_are_orders(bench: Bench) -> None:
    rows = "".join(f"{n},O-{n // 3},2026-01-0{1 + n // 3},C{n % 2},Cem {n % 2},Bonn,Germany,P{n},4\n" for n in range(9))
    header = "Row ID,Order ID,Order Date,Customer ID,Customer Name,City,Country,Product ID,Quantity\n"
    found = guess(bench.file(header + rows, "store.csv"), targets())
    assert found.target.name == "sales-orders"
    assert [profile.name for profile in found.key] == ["Order ID"]


def test_what_is_missing_stands_in_the_proposal_as_a_question(world: object) -> None:
    text = guess(folder("crm_sales") / "sales_pipeline.csv.gz", targets()).toml()
    assert "# Needed, and no column was found for it (online | reseller | direct):" in text
    assert '# values = { "Won" = "…"' in text
    assert "one is assumed" in text
    with pytest.raises(MappingError, match="Field channel is needed"):
        columns_of(text)


def test_shares_above_one_are_percent(bench: Bench) -> None:
    path = bench.file("order,customer,date,product,qty,price,discount\n7,A,2026-01-02,B,1,2.50,15\n", "orders.csv")
    text = guess(path, targets()).toml()
    assert '[lists.lines.discount]\ncolumn = "discount"\nunit = "percent"' in text


def test_a_file_without_rows_and_a_target_that_is_none_are_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no rows to judge by"):
        guess(bench.file("id,name\n"), targets())
    pl.DataFrame({"id": [1]}).write_parquet(tmp_path / "one.parquet")
    with pytest.raises(MappingError, match="no target 'people'"):
        guess(tmp_path / "one.parquet", targets(), target="people")
