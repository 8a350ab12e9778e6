"""What columns are called on screens and in timelines, and what kind of value they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal[
    "text", "amount", "number", "rate", "date", "instant", "flag", "address",
    "person", "team", "territory", "account", "contact", "product", "category", "order",
]  # fmt: skip
"""``person`` to ``order`` are ids of things that have a name."""

NAMED: frozenset[str] = frozenset({"person", "team", "territory", "account", "contact", "product", "category", "order"})


class Field(NamedTuple):
    label: str
    kind: Kind


_SCOPE = {
    "owner_id": Field("Owner", "person"),
    "team_id": Field("Team", "team"),
    "territory_id": Field("Territory", "territory"),
}
_ADDRESSES = {
    "billing_address": Field("Billing address", "address"),
    "shipping_address": Field("Shipping address", "address"),
}

FIELDS: Mapping[str, Mapping[str, Field]] = {
    "contacts.account": {
        "account_uuid": Field("Id", "text"),
        "account_number": Field("Number", "text"),
        "account_type": Field("Type", "text"),
        "status_before_hold": Field("Status before the hold", "text"),
        "primary_contact_kind": Field("Kind of primary contact", "text"),
        "primary_contact_id": Field("Primary contact", "contact"),
        "annual_revenue": Field("Annual revenue", "amount"),
        "parent_id": Field("Parent account", "account"),
        **_ADDRESSES,
        **_SCOPE,
    },
    "contacts.contact": {"account_uuid": Field("Account", "account"), **_SCOPE},
    "contacts.account_contact": {
        "account_uuid": Field("Account", "account"),
        "contact_id": Field("Contact", "contact"),
    },
    "finance.account_profile": {
        "account_uuid": Field("Account", "account"),
        "tax_id": Field("Tax ID", "text"),
        "credit_limit": Field("Credit limit", "amount"),
        "balance_due": Field("Balance due", "amount"),
        "on_credit_hold": Field("Credit hold", "flag"),
        "hold_reason": Field("Reason for the hold", "text"),
        "hold_since": Field("On hold since", "instant"),
        **_SCOPE,
    },
    "orders.sales_order": {
        "order_number": Field("Number", "text"),
        "account_uuid": Field("Account", "account"),
        "order_date": Field("Order date", "date"),
        "due_date": Field("Due", "date"),
        "ship_date": Field("Shipped on", "date"),
        "sub_total": Field("Subtotal", "amount"),
        "tax_amount": Field("Tax", "amount"),
        "freight": Field("Freight", "amount"),
        "purchase_order_number": Field("Customer's order number", "text"),
        "salesperson_id": Field("Salesperson", "person"),
        **_ADDRESSES,
        **_SCOPE,
    },
    "orders.sales_order_line": {
        "order_id": Field("Order", "order"),
        "line_no": Field("Line", "number"),
        "product_id": Field("Product", "product"),
        "sku": Field("SKU", "text"),
        "product_name": Field("Product name", "text"),
        "quantity": Field("Quantity", "number"),
        "unit_price": Field("Unit price", "amount"),
        "discount": Field("Discount", "rate"),
        "carrier_tracking_number": Field("Tracking number", "text"),
    },
    "inventory.product": {
        "sku": Field("SKU", "text"),
        "category_id": Field("Category", "category"),
        "standard_cost": Field("Standard cost", "amount"),
        "list_price": Field("List price", "amount"),
        "sell_start": Field("Sold from", "date"),
        "sell_end": Field("Sold until", "date"),
        "is_active": Field("On sale", "flag"),
    },
    "inventory.product_price": {
        "product_id": Field("Product", "product"),
        "amount": Field("Price", "amount"),
        "valid_from": Field("Valid from", "date"),
        "valid_to": Field("Valid until", "date"),
    },
}
"""Object → column → field, where the column's own name in words would not do; see ``field_of``."""


def field_of(object_type: str, column: str) -> Field:
    """The field of a column; one that nobody described (a customer's own) is called by its name, in words."""
    found = FIELDS.get(object_type, {}).get(column)
    return found or Field(in_words(column), "text")


def in_words(name: str) -> str:
    """``place_on_credit_hold`` as ``Place on credit hold``."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]
