"""Roles as data: what each may do, and which rows it reaches per object type.

A grant is a permission (``contacts.create_account``, ``contacts.account.read``) or a pattern of one (``contacts.*``,
``*.read``). A scope says which rows of an object type the role's permissions reach; types without an entry take the
role's ``rows``. Scopes of several roles add up, but each permission reaches only the rows of the roles that grant it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """Which rows: every row, those of my territories, of my team and the teams below, or my own."""

    ALL = "all"
    TERRITORY = "territory"
    TEAM = "team"
    OWN = "own"


ALL = frozenset({Scope.ALL})
TERRITORY = frozenset({Scope.TERRITORY, Scope.OWN})
TEAM = frozenset({Scope.TEAM, Scope.TERRITORY, Scope.OWN})
OWN = frozenset({Scope.OWN})


@dataclass(frozen=True)
class Role:
    """``rows``: the scopes for object types that ``scopes`` does not name."""

    grants: frozenset[str]
    rows: frozenset[Scope]
    scopes: Mapping[str, frozenset[Scope]] = field(default_factory=lambda: {"identity.saved_view": OWN})


DIRECTORY = frozenset(
    {"identity.user_account.read", "identity.team.read", "identity.territory.read", "identity.user_group.read"}
)
"""Who works here: colleagues, teams and territories are no secret inside the company."""

PERSONAL = frozenset(
    {
        "identity.end_own_sessions",
        "identity.saved_view.read",
        "identity.create_saved_view",
        "identity.update_saved_view",
        "identity.remove_saved_view",
    }
)
"""What everybody does for themselves."""

EVERYBODY = DIRECTORY | PERSONAL

CATALOGUE = frozenset({"inventory.product.read", "inventory.product_category.read", "inventory.product_price.read"})

ROLES: Mapping[str, Role] = {
    "admin": Role(frozenset({"*"}), ALL),
    "service": Role(frozenset({"*"}), ALL),
    "sales_rep": Role(
        frozenset({"contacts.*", "orders.*", "finance.account_profile.read"}) | EVERYBODY | CATALOGUE,
        TERRITORY,
    ),
    "sales_manager": Role(
        frozenset({"contacts.*", "orders.*", "finance.account_profile.read"}) | EVERYBODY | CATALOGUE, TEAM
    ),
    "support_agent": Role(
        frozenset({"contacts.*.read", "contacts.create_contact", "contacts.update_contact", "orders.*.read"})
        | DIRECTORY
        | PERSONAL
        | CATALOGUE,
        TERRITORY,
    ),
    "accountant": Role(
        frozenset({"finance.*", "contacts.*.read", "orders.*.read"}) | EVERYBODY | CATALOGUE,
        TERRITORY,
    ),
    "warehouse_clerk": Role(
        frozenset({"inventory.*", "orders.*.read", "orders.ship_sales_order"}) | EVERYBODY,
        TERRITORY,
    ),
    "hr_officer": Role(frozenset({"identity.update_user"}) | EVERYBODY, ALL),
    "marketer": Role(frozenset({"contacts.*.read", "orders.*.read"}) | EVERYBODY | CATALOGUE, TERRITORY),
    "analyst": Role(
        frozenset({"contacts.*.read", "orders.*.read", "inventory.*.read", "finance.*.read"}) | EVERYBODY,
        TERRITORY,
    ),
    "auditor": Role(frozenset({"*.read"}) | PERSONAL, ALL),
}
