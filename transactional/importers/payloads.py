"""The fields of each bulk command, from rows whose references have become ids.

Amounts leave as text: JSON numbers would lose digits. The writer leaves out what is null, save for whose the row is.
"""

from __future__ import annotations

import polars as pl

from transactional.importers.writing import SCOPE, Ids, Payload


def text(*names: str) -> list[pl.Expr]:
    return [pl.col(name).cast(pl.String) for name in names]


def territory(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("name", "country_code", "group_name")


def team(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("name", "parent_id")


def user(ids: Ids) -> Payload:
    def fields(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(
            "username",
            "display_name",
            "email",
            "roles",
            "team_id",
            territory_ids=pl.col("territory_refs").list.eval(ids.of(pl.element())),
        )

    return fields


def category(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("name", "parent_id")


def product(frame: pl.DataFrame) -> pl.DataFrame:
    price = pl.element().struct
    return frame.select(
        "sku",
        "name",
        "category_id",
        "color",
        "size",
        "currency",
        "sell_start",
        "sell_end",
        *text("standard_cost", "list_price"),
        prices=pl.col("prices").list.eval(
            pl.struct(
                price.field("amount").cast(pl.String),
                price.field("currency"),
                price.field("valid_from"),
                price.field("valid_to"),
            )
        ),
    )


def account(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        "name",
        "account_type",
        "industry",
        "currency",
        "billing_address",
        "shipping_address",
        "parent_id",
        "person",
        *SCOPE,
        *text("annual_revenue"),
    )


def contact(ids: Ids) -> Payload:
    def fields(frame: pl.DataFrame) -> pl.DataFrame:
        part = pl.element().struct
        return frame.select(
            "title",
            "first_name",
            "last_name",
            "job_title",
            "email",
            "phone",
            *SCOPE,
            account_uuid="account_id",
            memberships=pl.col("memberships").list.eval(
                pl.struct(
                    ids.of(part.field("account_ref")).alias("account_uuid"),
                    part.field("role"),
                    part.field("primary"),
                )
            ),
        )

    return fields


def order(ids: Ids) -> Payload:
    def fields(frame: pl.DataFrame) -> pl.DataFrame:
        line = pl.element().struct
        return frame.select(
            "order_number",
            "status",
            "channel",
            "order_date",
            "due_date",
            "ship_date",
            "currency",
            "billing_address",
            "shipping_address",
            "shipping_method",
            "purchase_order_number",
            *SCOPE,
            *text("sub_total", "tax_amount", "freight"),
            account_uuid="account_id",
            salesperson_id="owner_id",
            custom=pl.when(pl.col("sales_reasons").is_not_null()).then(pl.struct("sales_reasons")),
            lines=pl.col("lines").list.eval(
                pl.struct(
                    ids.of(line.field("product_ref")).alias("product_id"),
                    line.field("line_no"),
                    line.field("quantity"),
                    line.field("unit_price").cast(pl.String),
                    line.field("discount").cast(pl.String),
                    line.field("special_offer"),
                    line.field("carrier_tracking_number"),
                )
            ),
        )

    return fields
