"""Sales orders with their lines, amounts as they stand in the source."""

from __future__ import annotations

import polars as pl

from transactional.importers.adventureworks import tables
from transactional.importers.adventureworks.files import Files
from transactional.importers.company import ORDER, shaped
from transactional.importers.files import reference
from transactional.importers.sheets import flag, unknown

_STATUS = {1: "confirmed", 2: "confirmed", 3: "confirmed", 4: "cancelled", 5: "shipped", 6: "cancelled"}
"""AdventureWorks: 1 in process, 2 approved, 3 backordered, 4 rejected, 5 shipped, 6 cancelled."""

_NO_OFFER = "No Discount"


def headers(files: Files, currency_of_rate: pl.DataFrame) -> pl.DataFrame:
    """All rows of SalesOrderHeader with ``currency`` (no rate = USD) and ``problem``; read once, used twice."""
    raw = files.raw(tables.ORDER)
    raw = unknown(raw, "CurrencyRateID", currency_of_rate["CurrencyRateID"], "currency rate")
    return raw.join(currency_of_rate, on="CurrencyRateID", how="left").with_columns(pl.col("currency").fill_null("USD"))


def currency_of_rate(files: Files) -> pl.DataFrame:
    return files.read(tables.CURRENCY_RATE).select("CurrencyRateID", currency="ToCurrencyCode")


def last_currencies(headers: pl.DataFrame) -> pl.DataFrame:
    """``CustomerID`` → ``currency`` of the latest order."""
    latest = headers.filter(pl.col("problem").is_null()).sort("OrderDate", "SalesOrderID")
    return latest.group_by("CustomerID").last().select("CustomerID", "currency")


def orders(
    files: Files,
    headers: pl.DataFrame,
    *,
    addresses: pl.DataFrame,
    territories: pl.DataFrame,
    customers: pl.DataFrame,
    users: pl.DataFrame,
    products: pl.DataFrame,
) -> pl.DataFrame:
    """Orders by date. An order with an unusable line is not imported at all: its total would be a lie."""
    methods = files.read(tables.SHIP_METHOD).select("ShipMethodID", shipping_method="Name")
    lines, broken = _lines(files, headers, products)
    raw = headers.with_columns(
        account_ref=reference("customer", "CustomerID"),
        owner_ref=reference("user", "SalesPersonID"),
        territory_ref=reference("territory", "TerritoryID"),
    )
    raw = unknown(raw, "account_ref", customers["ref"], "customer", called="CustomerID")
    raw = unknown(raw, "owner_ref", users["ref"], "sales person", called="SalesPersonID")
    raw = unknown(raw, "territory_ref", territories["ref"], "territory", called="TerritoryID")
    raw = unknown(raw, "BillToAddressID", addresses["AddressID"], "address")
    raw = unknown(raw, "ShipToAddressID", addresses["AddressID"], "address")
    raw = unknown(raw, "ShipMethodID", methods["ShipMethodID"], "shipping method")
    raw = flag(raw, ~pl.col("Status").is_in(list(_STATUS)), pl.format("Status {} has no meaning", "Status"))
    for amount in ("SubTotal", "TaxAmt", "Freight"):
        raw = flag(raw, pl.col(amount) < 0, pl.format(f"{amount} {{}} is negative", amount))
    for day in ("DueDate", "ShipDate"):
        reason = pl.format(f"{day} {{}} comes before OrderDate {{}}", day, "OrderDate")
        raw = flag(raw, pl.col(day) < pl.col("OrderDate"), reason)
    raw = raw.join(broken, on="SalesOrderID", how="left").join(lines, on="SalesOrderID", how="left")
    reason = pl.format(f"its line in row {{}} of {tables.ORDER_LINE.file} cannot be used", "broken_row")
    raw = flag(raw, pl.col("broken_row").is_not_null(), reason)
    raw = flag(raw, pl.col("lines").is_null(), "it has no lines")
    good = (
        files.usable(raw, tables.ORDER)
        .join(methods, on="ShipMethodID")
        .join(addresses.select(BillToAddressID="AddressID", billing_address="address"), on="BillToAddressID")
        .join(addresses.select(ShipToAddressID="AddressID", shipping_address="address"), on="ShipToAddressID")
        .join(_reasons(files), on="SalesOrderID", how="left")
        .join(customers.select(account_ref="ref", home="territory_ref"), on="account_ref")
        .join(users.select("team_ref", owner_ref="ref"), on="owner_ref", how="left")
        .sort("OrderDate", "SalesOrderID")
    )
    return shaped(
        good.select(
            "row",
            "account_ref",
            "currency",
            "billing_address",
            "shipping_address",
            "shipping_method",
            "sales_reasons",
            "lines",
            "owner_ref",
            "team_ref",
            ref=reference("order", "SalesOrderID"),
            file=pl.lit(tables.ORDER.file),
            order_number="SalesOrderNumber",
            status=pl.col("Status").replace_strict(_STATUS, return_dtype=pl.String),
            channel=pl.when("OnlineOrderFlag").then(pl.lit("online")).otherwise(pl.lit("reseller")),
            order_date="OrderDate",
            due_date="DueDate",
            ship_date="ShipDate",
            sub_total="SubTotal",
            tax_amount="TaxAmt",
            freight="Freight",
            purchase_order_number="PurchaseOrderNumber",
            territory_ref=pl.coalesce("territory_ref", "home"),
        ),
        ORDER,
    )


def _lines(files: Files, headers: pl.DataFrame, products: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``SalesOrderID`` → ``lines``, numbered from 1 in the source's order; and → ``broken_row``, the first bad one."""
    offers = files.read(tables.SPECIAL_OFFER).select("SpecialOfferID", offer="Description")
    raw = files.raw(tables.ORDER_LINE).with_columns(product_ref=reference("product", "ProductID"))
    raw = unknown(raw, "SalesOrderID", headers["SalesOrderID"], "order")
    raw = unknown(raw, "product_ref", products["ref"], "product", called="ProductID")
    raw = unknown(raw, "SpecialOfferID", offers["SpecialOfferID"], "special offer")
    raw = flag(raw, pl.col("OrderQty") <= 0, pl.format("OrderQty {} is not above zero", "OrderQty"))
    raw = flag(raw, pl.col("UnitPrice") < 0, pl.format("UnitPrice {} is negative", "UnitPrice"))
    share = pl.col("UnitPriceDiscount")
    raw = flag(raw, (share < 0) | (share > 1), pl.format("UnitPriceDiscount {} is not between 0 and 1", share))
    bad = raw.filter(pl.col("problem").is_not_null())
    broken = bad.group_by("SalesOrderID").agg(broken_row=pl.col("row").min())
    grouped = (
        files.usable(raw, tables.ORDER_LINE)
        .join(offers, on="SpecialOfferID")
        .sort("SalesOrderID", "SalesOrderDetailID")
        .with_columns(line_no=pl.int_range(1, pl.len() + 1).over("SalesOrderID"))
        .group_by("SalesOrderID", maintain_order=True)
        .agg(
            lines=pl.struct(
                "line_no",
                "product_ref",
                quantity="OrderQty",
                unit_price="UnitPrice",
                discount=pl.col("UnitPriceDiscount").cast(pl.Decimal(9, 6)),
                special_offer=pl.when(pl.col("offer") != _NO_OFFER).then("offer"),
                carrier_tracking_number="CarrierTrackingNumber",
            )
        )
    )
    return grouped, broken


def _reasons(files: Files) -> pl.DataFrame:
    """``SalesOrderID`` → ``sales_reasons``, their names."""
    names = files.read(tables.SALES_REASON).select(
        "SalesReasonID", name=pl.col("Name").str.replace_all(r"\s+", " ").str.strip_chars()
    )
    raw = unknown(files.raw(tables.ORDER_REASON), "SalesReasonID", names["SalesReasonID"], "sales reason")
    return (
        files.usable(raw, tables.ORDER_REASON)
        .join(names, on="SalesReasonID")
        .sort("SalesOrderID", "SalesReasonID")
        .group_by("SalesOrderID")
        .agg(sales_reasons="name")
    )
