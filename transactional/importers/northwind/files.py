"""What several mappings of Northwind need: amounts as they were meant, addresses, countries."""

from __future__ import annotations

import polars as pl

from transactional.importers import files
from transactional.importers.company import ADDRESS
from transactional.importers.countries import code_of
from transactional.importers.sheets import MONEY, flag

CURRENCY = "USD"
"""Northwind names no currency; Microsoft's sample traded in US dollars."""


class Files(files.Files):
    """Northwind's directory."""


def money(column: str) -> pl.Expr:
    """A ``real`` as the amount that was typed: 9.80000019 is 9.8. Seven digits are true, so the fourth decimal is."""
    return pl.col(column).round(4).cast(MONEY)


def country(column: str) -> pl.Expr:
    return pl.col(column).map_elements(code_of, return_dtype=pl.String)


def known_country(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Marks the rows whose country nobody knows."""
    unknown = pl.col(column).is_not_null() & country(column).is_null()
    return flag(frame, unknown, pl.format(f"{column} {{}} is no country of ISO 3166-1", column))


def address(line1: pl.Expr, line2: pl.Expr, prefix: str = "") -> pl.Expr:
    """The columns ``city region postal_code country`` below ``prefix``, with one or two lines above them."""
    return pl.struct(
        line1=line1,
        line2=line2,
        city=f"{prefix}city",
        region=f"{prefix}region",
        postal_code=f"{prefix}postal_code",
        country=country(f"{prefix}country"),
    ).cast(ADDRESS)
