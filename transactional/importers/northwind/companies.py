"""Customers and suppliers as accounts, the person that each names as its contact."""

from __future__ import annotations

import polars as pl

from transactional.importers.company import ACCOUNT, CONTACT, shaped
from transactional.importers.files import reference
from transactional.importers.northwind import tables
from transactional.importers.northwind.files import CURRENCY, Files, address, known_country
from transactional.importers.northwind.people import SALES
from transactional.importers.sheets import Sheet


def companies(files: Files) -> pl.DataFrame:
    """Both sheets as one frame with ``ref``, ``account_type`` and the columns that they share."""
    return pl.concat(
        [
            _companies(files, tables.CUSTOMER, "customer", "Customer"),
            _companies(files, tables.SUPPLIER, "supplier", "Vendor"),
        ]
    )


def _companies(files: Files, sheet: Sheet, kind: str, account_type: str) -> pl.DataFrame:
    (key,) = sheet.key
    return (
        files.usable(known_country(files.raw(sheet), "country"), sheet)
        .with_columns(ref=reference(kind, key), file=pl.lit(sheet.file), account_type=pl.lit(account_type))
        .drop(key)
    )


def accounts(companies: pl.DataFrame) -> pl.DataFrame:
    """Nobody's in particular: the source does not say whose customer one is, so the sales team sees them all."""
    postal = address(pl.col("address"), pl.lit(None, pl.String))
    return shaped(
        companies.with_columns(
            name="company_name",
            currency=pl.lit(CURRENCY),
            billing_address=postal,
            shipping_address=postal,
            team_ref=pl.lit(SALES),
        ),
        ACCOUNT,
    )


def contacts(companies: pl.DataFrame) -> pl.DataFrame:
    """The first word is the first name: Isabel de Castro's last name is de Castro."""
    name = pl.col("contact_name").str.strip_chars().str.splitn(" ", 2)
    named = companies.filter(pl.col("contact_name").str.strip_chars() != "").with_columns(
        first=name.struct.field("field_0"), rest=name.struct.field("field_1")
    )
    role = pl.col("contact_title").fill_null("Contact")
    return shaped(
        named.select(
            "file",
            "row",
            "phone",
            ref=pl.format("contact:{}", "ref"),
            first_name=pl.when(pl.col("rest").is_not_null()).then("first"),
            last_name=pl.coalesce("rest", "first"),
            job_title="contact_title",
            account_ref="ref",
            memberships=pl.concat_list(pl.struct(account_ref="ref", role=role, primary=pl.lit(True))),
            team_ref=pl.lit(SALES),
        ),
        CONTACT,
    )
