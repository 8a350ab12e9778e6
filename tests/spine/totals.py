"""What AdventureWorks comes to, as published, and as the marts have it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

FIGURES = """
select
    (select count(*) from marts.fct_sales_order),
    (select count(*) from marts.fct_sales_order_line),
    (select sum(line_net) from marts.fct_sales_order_line),
    (select sum(line_net_total) from marts.fct_sales_order),
    (select sum(sub_total) from marts.fct_sales_order where channel = 'online'),
    (select sum(sub_total) from marts.fct_sales_order where channel = 'reseller'),
    (select sum(tax_amount) from marts.fct_sales_order),
    (select sum(freight) from marts.fct_sales_order),
    (select sum(line_net_total) from marts.agg_sales_daily),
    (select sum(order_count) from marts.agg_sales_daily),
    (select count(*) from marts.dim_account),
    (select count(*) from marts.dim_account where parent_account_uuid is not null),
    (select count(*) from marts.dim_product),
    (select count(*) from marts.dim_contact),
    (select count(*) from reporting.c360_account),
    (select sum(order_count) from reporting.c360_account)
"""
NAMES = (
    "orders",
    "lines",
    "line total",
    "line total of the headers",
    "online subtotal",
    "reseller subtotal",
    "tax",
    "freight",
    "line total by day",
    "orders by day",
    "customers",
    "accounts below a store",
    "products",
    "contacts",
    "customer views",
    "orders in customer views",
)
PUBLISHED = (
    31_465,
    121_317,
    Decimal("109846381.399888"),
    Decimal("109846381.399888"),
    Decimal("29358677.2207"),
    Decimal("80487704.1832"),
    Decimal("10186974.4602"),
    Decimal("3183430.2518"),
    Decimal("109846381.399888"),
    31_465,
    19_820,
    635,
    504,
    18_484 + 753 + 289,
    19_820,
    31_465,
)


def wanted() -> dict[str, Any]:
    return dict(zip(NAMES, PUBLISHED, strict=True))


def marts(warehouse: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Any]:
    """The same figures from the marts, to the last digit."""
    row = warehouse.execute(FIGURES).fetchone()
    return dict(zip(NAMES, row or (), strict=True))
