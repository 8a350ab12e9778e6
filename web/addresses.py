"""Where a record's page is, by the object's dotted name."""

from __future__ import annotations

RECORDS = {
    "contacts.account": "/accounts/{}",
    "contacts.contact": "/contacts/{}",
    "orders.sales_order": "/orders/{}",
    "inventory.product": "/products/{}",
}


def record(object_type: str, key: object) -> str:
    """The page's address; empty for objects without one."""
    pattern = RECORDS.get(object_type)
    return pattern.format(key) if pattern else ""
