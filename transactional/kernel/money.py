"""Money in the database: numeric(19,4) beside a currency, and the check that an amount is one."""

from __future__ import annotations

from decimal import Decimal

from django.db.models import Q

MAX_AMOUNT = Decimal("999999999999999.9999")
"""The largest amount that numeric(19,4) holds."""


def not_negative(field: str, *, nullable: bool = False) -> Q:
    """The condition of a CHECK constraint. PostgreSQL sorts NaN above every number: the upper bound keeps it out."""
    condition = Q(**{f"{field}__gte": 0, f"{field}__lte": MAX_AMOUNT})
    return condition | Q(**{f"{field}__isnull": True}) if nullable else condition
