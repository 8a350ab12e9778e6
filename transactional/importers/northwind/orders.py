"""830 orders of 1996 to 1998 with their lines. Headers hold no subtotal: Orders computes it from the lines."""

from __future__ import annotations

import polars as pl

from transactional.importers.company import ORDER, shaped
from transactional.importers.files import reference
from transactional.importers.northwind import tables
from transactional.importers.northwind.files import CURRENCY, Files, address, known_country, money
from transactional.importers.sheets import flag, unknown


def sold(files: Files) -> pl.DataFrame:
    """``product_id`` → ``first_day`` of any order at all, ``last_day`` of an order of the product."""
    days = files.raw(tables.ORDER).select("order_id", "order_date")
    lines = files.raw(tables.ORDER_LINE).select("order_id", "product_id")
    return (
        lines.join(days, on="order_id")
        .group_by("product_id")
        .agg(last_day=pl.col("order_date").max())
        .with_columns(first_day=pl.lit(days["order_date"].min(), pl.Date))
    )


def orders(files: Files, *, companies: pl.DataFrame, users: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Orders by date. An order with an unusable line is not imported at all: its total would be a lie."""
    methods = files.read(tables.SHIPPER).select("shipper_id", shipping_method="company_name")
    headers = files.raw(tables.ORDER)
    lines, broken = _lines(files, headers, products)
    raw = headers.with_columns(
        account_ref=reference("customer", "customer_id"), owner_ref=reference("user", "employee_id")
    )
    raw = unknown(raw, "account_ref", companies["ref"], "customer", called="customer_id")
    raw = unknown(raw, "owner_ref", users["ref"], "employee", called="employee_id")
    raw = unknown(raw, "ship_via", methods["shipper_id"], "shipper")
    raw = known_country(raw, "ship_country")
    raw = flag(raw, pl.col("freight") < 0, pl.format("freight {} is negative", "freight"))
    for day in ("required_date", "shipped_date"):
        reason = pl.format(f"{day} {{}} comes before order_date {{}}", day, "order_date")
        raw = flag(raw, pl.col(day) < pl.col("order_date"), reason)
    raw = raw.join(broken, on="order_id", how="left").join(lines, on="order_id", how="left")
    reason = pl.format(f"its line in row {{}} of {tables.ORDER_LINE.file} cannot be used", "broken_row")
    raw = flag(raw, pl.col("broken_row").is_not_null(), reason)
    raw = flag(raw, pl.col("lines").is_null(), "it has no lines")
    to_others = pl.col("ship_name") != pl.col("company_name")
    return shaped(
        files.usable(raw, tables.ORDER)
        .join(methods, left_on="ship_via", right_on="shipper_id")
        .join(companies.select("company_name", "billing_address", account_ref="ref"), on="account_ref")
        .join(users.select("team_ref", owner_ref="ref"), on="owner_ref", how="left")
        .sort("order_date", "order_id")
        .select(
            "row",
            "account_ref",
            "billing_address",
            "shipping_method",
            "lines",
            "owner_ref",
            "team_ref",
            ref=reference("order", "order_id"),
            file=pl.lit(tables.ORDER.file),
            order_number=pl.col("order_id").cast(pl.String),
            status=pl.when(pl.col("shipped_date").is_null()).then(pl.lit("confirmed")).otherwise(pl.lit("shipped")),
            channel=pl.lit("direct"),
            order_date="order_date",
            due_date="required_date",
            ship_date="shipped_date",
            currency=pl.lit(CURRENCY),
            freight=money("freight"),
            shipping_address=address(
                pl.when(to_others).then("ship_name").otherwise("ship_address"),
                pl.when(to_others).then("ship_address"),
                "ship_",
            ),
        ),
        ORDER,
    )


def _lines(files: Files, headers: pl.DataFrame, products: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``order_id`` → ``lines``, numbered from 1 in the source's order; and → ``broken_row``, the first bad one."""
    raw = files.raw(tables.ORDER_LINE).with_columns(product_ref=reference("product", "product_id"))
    raw = unknown(raw, "order_id", headers["order_id"], "order")
    raw = unknown(raw, "product_ref", products["ref"], "product", called="product_id")
    raw = flag(raw, pl.col("quantity") <= 0, pl.format("quantity {} is not above zero", "quantity"))
    raw = flag(raw, pl.col("unit_price") < 0, pl.format("unit_price {} is negative", "unit_price"))
    share = pl.col("discount")
    raw = flag(raw, (share < 0) | (share > 1), pl.format("discount {} is not between 0 and 1", share))
    bad = raw.filter(pl.col("problem").is_not_null())
    broken = bad.group_by("order_id").agg(broken_row=pl.col("row").min())
    grouped = (
        files.usable(raw, tables.ORDER_LINE)
        .with_columns(line_no=pl.int_range(1, pl.len() + 1).over("order_id"))
        .group_by("order_id", maintain_order=True)
        .agg(
            lines=pl.struct(
                "line_no",
                "product_ref",
                "quantity",
                unit_price=money("unit_price"),
                discount=share.round(6).cast(pl.Decimal(9, 6)),
                special_offer=pl.lit(None, pl.String),
                carrier_tracking_number=pl.lit(None, pl.String),
            )
        )
    )
    return grouped, broken
