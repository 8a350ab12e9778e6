"""A product: its prices, its place in the catalogue, and who bought it last."""

from __future__ import annotations

from importlib import resources
from typing import Any
from uuid import UUID

from bi.reading import read
from policy.decide import may
from policy.principal import Principal

PERMISSION = "inventory.product.read"
_STATEMENT = (resources.files(__package__) / "product_360.sql").read_bytes()


def product_360(dsn: str, principal: Principal, product_id: UUID) -> dict[str, Any]:
    """As ``bi.schema.Product360`` describes it. Raises Problem as ``bi.reading.read`` does."""
    orders = may(principal.roles, "orders.sales_order.read")
    found: dict[str, Any] = read(
        dsn, principal, _STATEMENT, [product_id, orders], permission=PERMISSION, key=product_id
    )
    return found
