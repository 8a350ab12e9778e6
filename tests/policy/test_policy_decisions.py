"""Roles and row scopes: what adds up and what does not."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest

from policy.decide import may, scopes
from policy.principal import Principal
from policy.roles import ROLES, Scope
from policy.rows import contains

ME, MATE, STRANGER = (UUID(int=n) for n in (1, 2, 3))
TEAM, BELOW, ELSEWHERE = (UUID(int=n) for n in (11, 12, 13))
NORTH, SOUTH = (UUID(int=n) for n in (21, 22))
PERSON = Principal(ME, "me", frozenset(), (TEAM, BELOW), (NORTH,))


def row(owner: UUID | None = None, team: UUID | None = None, territory: UUID | None = None) -> SimpleNamespace:
    return SimpleNamespace(owner_id=owner, team_id=team, territory_id=territory)


@pytest.mark.parametrize(
    ("roles", "permission", "allowed"),
    [
        ({"admin"}, "contacts.create_account", True),
        ({"sales_rep"}, "contacts.create_account", True),
        ({"sales_rep"}, "finance.place_on_hold", False),
        ({"sales_rep"}, "inventory.create_product", False),
        ({"sales_rep"}, "inventory.product.read", True),
        ({"accountant"}, "finance.place_on_hold", True),
        ({"accountant"}, "contacts.account.read", True),
        ({"accountant"}, "contacts.update_account", False),
        ({"auditor"}, "orders.sales_order.read", True),
        ({"auditor"}, "orders.confirm_sales_order", False),
        ({"support_agent"}, "identity.create_user", False),
        ({"marketer", "accountant"}, "finance.place_on_hold", True),
        (set(), "contacts.account.read", False),
        ({"made up"}, "contacts.account.read", False),
    ],
)
def test_roles_grant_permissions(roles: set[str], permission: str, allowed: bool) -> None:
    assert may(frozenset(roles), permission) is allowed


def test_scopes_of_several_roles_add_up() -> None:
    both = scopes(frozenset({"sales_rep", "auditor"}), "contacts.account.read", "contacts.account")
    assert both == {Scope.ALL}


def test_a_permission_reaches_only_rows_of_the_roles_that_grant_it() -> None:
    """An auditor sees everything and changes nothing: being a sales representative too does not join the two."""
    both = frozenset({"sales_rep", "auditor"})
    assert scopes(both, "contacts.update_account", "contacts.account") == {Scope.OWN, Scope.TERRITORY}


@pytest.mark.parametrize(
    ("reached", "which", "inside"),
    [
        ({Scope.ALL}, row(), True),
        ({Scope.OWN}, row(owner=ME), True),
        ({Scope.OWN}, row(owner=MATE, team=TEAM, territory=NORTH), False),
        ({Scope.TEAM}, row(owner=MATE, team=TEAM), True),
        ({Scope.TEAM}, row(team=BELOW), True),
        ({Scope.TEAM}, row(team=ELSEWHERE, territory=NORTH), False),
        ({Scope.TERRITORY}, row(owner=STRANGER, territory=NORTH), True),
        ({Scope.TERRITORY}, row(owner=ME, territory=SOUTH), False),
        ({Scope.TERRITORY, Scope.OWN}, row(owner=ME, territory=SOUTH), True),
        ({Scope.OWN, Scope.TEAM, Scope.TERRITORY}, row(), False),
        (set(), row(owner=ME, team=TEAM, territory=NORTH), False),
    ],
)
def test_a_row_is_inside_by_owner_team_or_territory(reached: set[Scope], which: SimpleNamespace, inside: bool) -> None:
    assert contains(PERSON, frozenset(reached), which) is inside


def test_the_system_itself_owns_no_rows() -> None:
    nobody = Principal(None, "stream", frozenset())
    assert not contains(nobody, frozenset({Scope.OWN, Scope.TEAM, Scope.TERRITORY}), row())


def test_every_role_of_the_architecture_is_declared() -> None:
    assert set(ROLES) >= {
        "admin",
        "sales_rep",
        "sales_manager",
        "support_agent",
        "accountant",
        "warehouse_clerk",
        "hr_officer",
        "marketer",
        "analyst",
        "auditor",
        "service",
    }
