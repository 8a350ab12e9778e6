"""Scopes as keys decide like scopes in memory, for every role and every mixture of scope columns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from uuid import UUID

import pytest

from policy.decide import scopes
from policy.keys import reader_keys, row_keys
from policy.principal import Principal
from policy.roles import ROLES
from policy.rows import contains

ME, MY_TEAM, MY_TERRITORY, OTHER = (UUID(int=n) for n in range(1, 5))


@dataclass
class Row:
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None


ROWS = [Row(*ids) for ids in itertools.product((None, ME, OTHER), (None, MY_TEAM, OTHER), (None, MY_TERRITORY, OTHER))]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("resource", ["contacts.account", "orders.sales_order"])
def test_a_key_in_common_opens_exactly_the_rows_of_the_scope(role: str, resource: str) -> None:
    alice = Principal(ME, "alice", frozenset({role}), (MY_TEAM,), (MY_TERRITORY,))
    reached = scopes(alice.roles, f"{resource}.read", resource)
    keys = reader_keys(alice, reached)
    for row in ROWS:
        opened = keys is None or not keys.isdisjoint(row_keys(row.owner_id, row.team_id, row.territory_id))
        assert opened == contains(alice, reached, row)


def test_an_id_of_one_kind_opens_nothing_of_another() -> None:
    charlie = Principal(MY_TEAM, "charlie", frozenset({"sales_manager"}), (MY_TERRITORY,), (ME,))
    keys = reader_keys(charlie, scopes(charlie.roles, "contacts.account.read", "contacts.account"))
    assert keys is not None
    assert keys.isdisjoint(row_keys(ME, MY_TEAM, MY_TERRITORY))


def test_without_a_role_nothing_is_opened() -> None:
    assert reader_keys(Principal(ME, "bob", frozenset()), frozenset()) == frozenset()
