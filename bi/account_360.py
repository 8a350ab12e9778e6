"""The customer 360: everything about one account that the reader may see, live to the last landed batch."""

from __future__ import annotations

from importlib import resources
from uuid import UUID

from bi.problems import absent, forbidden, unauthenticated, unavailable
from bi.warehouse import WarehouseUnavailable, ask
from policy.decide import may
from policy.principal import Principal

PERMISSION = "contacts.account.read"
_STATEMENT = (resources.files(__package__) / "account_360.sql").read_bytes()


def account_360(dsn: str, principal: Principal, account_uuid: UUID) -> str:
    """The JSON document, as ``bi.schema.Account360`` describes it.

    Raises Problem: 403 without the permission, 404 for an account that is absent or out of scope, 401 for a token from
    before its person's rights changed, 503 while the warehouse gives no answer.
    """
    if not may(principal.roles, PERMISSION):
        raise forbidden(PERMISSION)
    sections = [
        may(principal.roles, f"{resource}.read")
        for resource in ("contacts.contact", "finance.account_profile", "orders.sales_order")
    ]
    try:
        row = ask(dsn, principal, _STATEMENT, [account_uuid, *sections, principal.user_id])
    except WarehouseUnavailable as error:
        raise unavailable("The warehouse gives no answer; try again in a moment.") from error
    tokens_valid_from, body = row or (None, None)
    if principal.issued_at < (tokens_valid_from or 0):
        raise unauthenticated("The rights of this user changed after the token was issued; ask for a new one.")
    if body is None:
        raise absent("contacts.account", str(account_uuid))
    return str(body)
