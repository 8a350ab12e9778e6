"""A company as every importer hands it over: frames of rows that point at each other by reference.

A reference (``ref``) names a row in its source for ever, so that importing twice finds it again. Each frame has
``ref``, ``file`` and ``row`` (where a person finds it), then the columns named in its comment; a column that ends in
``_ref`` holds another frame's ``ref`` or null. An address is a struct ``line1 line2 city region postal_code country``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

ADDRESS = pl.Struct(
    {name: pl.String() for name in ("line1", "line2", "city", "region", "postal_code", "country")},
)
MONEY = pl.Decimal(19, 4)

PLACE = {"ref": pl.String(), "file": pl.String(), "row": pl.Int64()}
SCOPE = {"owner_ref": pl.String(), "team_ref": pl.String(), "territory_ref": pl.String()}

TERRITORY = {**PLACE, "name": pl.String(), "country_code": pl.String(), "group_name": pl.String()}
TEAM = {**PLACE, "name": pl.String(), "parent_ref": pl.String()}
USER = {
    **PLACE,
    "username": pl.String(),
    "display_name": pl.String(),
    "email": pl.String(),
    "roles": pl.List(pl.String()),
    "team_ref": pl.String(),
    "territory_refs": pl.List(pl.String()),
}
CATEGORY = {**PLACE, "name": pl.String(), "parent_ref": pl.String()}
PRICE = pl.Struct({"amount": MONEY, "currency": pl.String(), "valid_from": pl.Date(), "valid_to": pl.Date()})
PRODUCT = {
    **PLACE,
    "sku": pl.String(),
    "name": pl.String(),
    "category_ref": pl.String(),
    "color": pl.String(),
    "size": pl.String(),
    "standard_cost": MONEY,
    "list_price": MONEY,
    "currency": pl.String(),
    "sell_start": pl.Date(),
    "sell_end": pl.Date(),
    "prices": pl.List(PRICE),
}
ACCOUNT = {
    **PLACE,
    "name": pl.String(),
    "account_type": pl.String(),
    "industry": pl.String(),
    "annual_revenue": MONEY,
    "currency": pl.String(),
    "billing_address": ADDRESS,
    "shipping_address": ADDRESS,
    "parent_ref": pl.String(),
    **SCOPE,
}
MEMBERSHIP = pl.Struct({"account_ref": pl.String(), "role": pl.String(), "primary": pl.Boolean()})
CONTACT = {
    **PLACE,
    "title": pl.String(),
    "first_name": pl.String(),
    "last_name": pl.String(),
    "job_title": pl.String(),
    "email": pl.String(),
    "phone": pl.String(),
    "account_ref": pl.String(),
    "memberships": pl.List(MEMBERSHIP),
    **SCOPE,
}
LINE = pl.Struct(
    {
        "line_no": pl.Int64(),
        "product_ref": pl.String(),
        "quantity": pl.Int64(),
        "unit_price": MONEY,
        "discount": pl.Decimal(9, 6),
        "special_offer": pl.String(),
        "carrier_tracking_number": pl.String(),
    }
)
ORDER = {
    **PLACE,
    "order_number": pl.String(),
    "account_ref": pl.String(),
    "status": pl.String(),
    "channel": pl.String(),
    "order_date": pl.Date(),
    "due_date": pl.Date(),
    "ship_date": pl.Date(),
    "currency": pl.String(),
    "sub_total": MONEY,
    "tax_amount": MONEY,
    "freight": MONEY,
    "billing_address": ADDRESS,
    "shipping_address": ADDRESS,
    "shipping_method": pl.String(),
    "purchase_order_number": pl.String(),
    "sales_reasons": pl.List(pl.String()),
    "lines": pl.List(LINE),
    **SCOPE,
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not imported: ``row`` counts from 1 in ``file``."""

    file: str
    row: int
    reason: str


@dataclass
class Company:
    """What is to be written, parents before children in every frame; ``rejections`` are rows already found unusable.

    ``source`` is the name under which external references are kept.
    """

    source: str
    territories: pl.DataFrame
    teams: pl.DataFrame
    users: pl.DataFrame
    categories: pl.DataFrame
    products: pl.DataFrame
    accounts: pl.DataFrame
    contacts: pl.DataFrame
    orders: pl.DataFrame
    rejections: list[Rejection] = field(default_factory=list)


def shaped(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The frame with exactly the columns and types of ``schema``; absent ones are null."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
