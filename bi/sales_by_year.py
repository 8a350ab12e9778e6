"""What an account bought, year by year."""

from __future__ import annotations

from importlib import resources
from typing import Any
from uuid import UUID

from bi.reading import read
from policy.decide import may
from policy.principal import Principal
from policy.problems import forbidden

ACCOUNT, ORDERS = "contacts.account.read", "orders.sales_order.read"
_STATEMENT = (resources.files(__package__) / "sales_by_year.sql").read_bytes()


def sales_by_year(dsn: str, principal: Principal, account_uuid: UUID) -> dict[str, Any]:
    """As ``bi.schema.SalesByYear`` describes it, of the orders that the reader may see. Raises Problem as ``read``."""
    if not may(principal.roles, ORDERS):
        raise forbidden(ORDERS)
    found: dict[str, Any] = read(dsn, principal, _STATEMENT, [account_uuid], permission=ACCOUNT, key=account_uuid)
    return found
