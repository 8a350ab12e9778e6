"""What can be found: the kinds of documents, whose permission opens them, and what they can be filtered by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """``resource`` is what policy knows it as; without ``scoped`` its rows are open to whoever may read the resource.

    ``parent`` is the resource whose row lends the document its parent's name: that text is searched and shown only
    for those who may read that row. ``filters`` are the facts that a query can ask for.
    """

    name: str
    resource: str
    scoped: bool
    parent: str | None
    filters: tuple[str, ...]


ACCOUNT = Entity("account", "contacts.account", True, None, ("status", "account_type", "industry", "country"))
CONTACT = Entity("contact", "contacts.contact", True, "contacts.account", ("account",))
PRODUCT = Entity("product", "inventory.product", False, None, ("status", "category", "color"))
ORDER = Entity(
    "order", "orders.sales_order", True, "orders.account_profile", ("status", "channel", "account", "year", "currency")
)

ENTITIES = (ACCOUNT, CONTACT, PRODUCT, ORDER)
"""In the order in which groups are answered."""

BY_NAME = {entity.name: entity for entity in ENTITIES}
