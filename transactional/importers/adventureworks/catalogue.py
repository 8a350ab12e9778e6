"""Categories in two levels, and products with the history of their list prices."""

from __future__ import annotations

import polars as pl

from transactional.importers.adventureworks import tables
from transactional.importers.adventureworks.files import Files
from transactional.importers.company import CATEGORY, PRODUCT, shaped
from transactional.importers.files import reference
from transactional.importers.sheets import flag, unknown

_CURRENCY = "USD"
"""List prices have no currency column: AdventureWorks sells from the United States."""


def categories(files: Files) -> pl.DataFrame:
    upper = files.read(tables.CATEGORY)
    raw = unknown(files.raw(tables.SUBCATEGORY), "ProductCategoryID", upper["ProductCategoryID"], "category")
    lower = files.usable(raw, tables.SUBCATEGORY)
    return pl.concat(
        [
            shaped(
                upper.select(
                    "row",
                    ref=reference("category", "ProductCategoryID"),
                    file=pl.lit(tables.CATEGORY.file),
                    name="Name",
                ),
                CATEGORY,
            ),
            shaped(
                lower.select(
                    "row",
                    ref=reference("subcategory", "ProductSubcategoryID"),
                    file=pl.lit(tables.SUBCATEGORY.file),
                    name="Name",
                    parent_ref=reference("category", "ProductCategoryID"),
                ),
                CATEGORY,
            ),
        ]
    )


def products(files: Files, categories: pl.DataFrame) -> pl.DataFrame:
    """Products with ``prices``; one that has a list price and no history gets that price from its first day of sale."""
    raw = files.raw(tables.PRODUCT).with_columns(category_ref=reference("subcategory", "ProductSubcategoryID"))
    raw = unknown(raw, "category_ref", categories["ref"], "subcategory", called="ProductSubcategoryID")
    raw = flag(raw, pl.col("ListPrice") < 0, pl.format("ListPrice {} is negative", "ListPrice"))
    raw = flag(raw, pl.col("StandardCost") < 0, pl.format("StandardCost {} is negative", "StandardCost"))
    raw = flag(
        raw,
        pl.col("SellEndDate") < pl.col("SellStartDate"),
        pl.format("SellEndDate {} comes before SellStartDate {}", "SellEndDate", "SellStartDate"),
    )
    good = files.usable(raw, tables.PRODUCT)
    only = pl.struct(amount="ListPrice", currency=pl.lit(_CURRENCY), valid_from="SellStartDate", valid_to="SellEndDate")
    return shaped(
        good.join(_price_history(files, good), on="ProductID", how="left")
        .sort("ProductID")
        .select(
            "row",
            "category_ref",
            ref=reference("product", "ProductID"),
            file=pl.lit(tables.PRODUCT.file),
            sku="ProductNumber",
            name="Name",
            color="Color",
            size="Size",
            standard_cost="StandardCost",
            list_price="ListPrice",
            currency=pl.lit(_CURRENCY),
            sell_start="SellStartDate",
            sell_end="SellEndDate",
            prices=pl.when(pl.col("prices").is_not_null())
            .then("prices")
            .when(pl.col("ListPrice") > 0)
            .then(pl.concat_list(only)),
        ),
        PRODUCT,
    )


def _price_history(files: Files, products: pl.DataFrame) -> pl.DataFrame:
    """``ProductID`` → ``prices`` in order of their first day; both days of a price are days on which it holds."""
    raw = unknown(files.raw(tables.PRICE), "ProductID", products["ProductID"], "product").sort("ProductID", "StartDate")
    raw = flag(raw, pl.col("ListPrice") < 0, pl.format("ListPrice {} is negative", "ListPrice"))
    raw = flag(
        raw,
        pl.col("EndDate") < pl.col("StartDate"),
        pl.format("EndDate {} comes before StartDate {}", "EndDate", "StartDate"),
    )
    until = pl.col("EndDate").fill_null(pl.date(9999, 12, 31)).shift(1).over("ProductID")
    raw = flag(
        raw,
        pl.col("StartDate") <= until,
        pl.format("the price from {} overlaps the one before it, of product {}", "StartDate", "ProductID"),
    )
    return (
        files.usable(raw, tables.PRICE)
        .group_by("ProductID", maintain_order=True)
        .agg(
            prices=pl.struct(amount="ListPrice", currency=pl.lit(_CURRENCY), valid_from="StartDate", valid_to="EndDate")
        )
    )
