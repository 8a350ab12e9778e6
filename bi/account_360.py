"""The customer 360: everything about one account that the reader may see, live to the last landed batch."""

from __future__ import annotations

from collections.abc import Collection
from importlib import resources
from uuid import UUID

from bi.reading import read
from policy.decide import may
from policy.principal import Principal

PERMISSION = "contacts.account.read"
SECTIONS: dict[str, str] = {
    "hierarchy": PERMISSION,
    "contacts": "contacts.contact.read",
    "finance": "finance.account_profile.read",
    "orders": "orders.sales_order.read",
    "totals": PERMISSION,
    "timeline": PERMISSION,
}
"""Section → the permission that opens it."""

_STATEMENT = (resources.files(__package__) / "account_360.sql").read_bytes()


def account_360(dsn: str, principal: Principal, account_uuid: UUID, sections: Collection[str] = tuple(SECTIONS)) -> str:
    """The JSON document, as ``bi.schema.Account360`` describes it; sections that are not asked for are null.

    Raises Problem as ``read`` does.
    """
    opened = [name in sections and may(principal.roles, permission) for name, permission in SECTIONS.items()]
    return str(read(dsn, principal, _STATEMENT, [account_uuid, *opened], permission=PERMISSION, key=account_uuid))
