"""Where a total leads: the list of the rows that it adds up."""

from __future__ import annotations

from urllib.parse import urlencode

SOLD = ("confirmed", "shipped", "closed")
"""Statuses of orders that count as sold."""


def orders_of(account_number: str) -> str:
    """The list of an account's orders."""
    return "/orders?" + urlencode({"account_number": account_number})


def sales_of(account_number: str, year: int | None = None) -> str:
    """The list of an account's orders that count as sold, of one calendar year if given."""
    facts = [("account_number", account_number), *(("status", status) for status in SOLD)]
    if year is not None:
        facts += [("ordered.min", f"{year}-01-01"), ("ordered.max", f"{year}-12-31")]
    return "/orders?" + urlencode(facts)
