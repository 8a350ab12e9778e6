"""Eight categories and 77 products. Northwind has neither SKUs nor a history of prices."""

from __future__ import annotations

import polars as pl

from transactional.importers.company import CATEGORY, PRODUCT, shaped
from transactional.importers.files import reference
from transactional.importers.northwind import tables
from transactional.importers.northwind.files import CURRENCY, Files, money
from transactional.importers.sheets import flag, unknown


def categories(files: Files) -> pl.DataFrame:
    return shaped(
        files.read(tables.CATEGORY).select(
            "row",
            ref=reference("category", "category_id"),
            file=pl.lit(tables.CATEGORY.file),
            name="category_name",
        ),
        CATEGORY,
    )


def products(files: Files, categories: pl.DataFrame, sold: pl.DataFrame) -> pl.DataFrame:
    """Products, on sale since the first order of any; a discontinued one until its own last order.

    ``sold`` gives ``first_day`` (the same in all rows) and ``last_day`` of a ``product_id``.
    """
    raw = files.raw(tables.PRODUCT).with_columns(category_ref=reference("category", "category_id"))
    raw = unknown(raw, "category_ref", categories["ref"], "category", called="category_id")
    raw = flag(raw, pl.col("unit_price") < 0, pl.format("unit_price {} is negative", "unit_price"))
    raw = flag(
        raw, ~pl.col("discontinued").is_in([0, 1]), pl.format("discontinued {} is neither 0 nor 1", "discontinued")
    )
    return shaped(
        files.usable(raw, tables.PRODUCT)
        .join(sold, on="product_id", how="left")
        .sort("product_id")
        .select(
            "row",
            "category_ref",
            ref=reference("product", "product_id"),
            file=pl.lit(tables.PRODUCT.file),
            sku=pl.format("NW-{}", pl.col("product_id").cast(pl.String).str.zfill(3)),
            name="product_name",
            list_price=money("unit_price"),
            currency=pl.lit(CURRENCY),
            sell_start="first_day",
            sell_end=pl.when(pl.col("discontinued") == 1).then("last_day"),
        ),
        PRODUCT,
    )
