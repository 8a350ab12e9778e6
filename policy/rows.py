"""Row scopes compiled for Django querysets, and the same decision for one row in memory."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from policy.principal import Principal
from policy.roles import Scope

NOTHING = Q(pk__in=())


def row_filter(principal: Principal, reached: frozenset[Scope]) -> Q:
    """A condition on ``owner_id``, ``team_id`` and ``territory_id``; matches nothing when no scope is reached."""
    if Scope.ALL in reached:
        return Q()
    condition = NOTHING
    if Scope.OWN in reached and principal.user_id is not None:
        condition |= Q(owner_id=principal.user_id)
    if Scope.TEAM in reached and principal.team_ids:
        condition |= Q(team_id__in=principal.team_ids)
    if Scope.TERRITORY in reached and principal.territory_ids:
        condition |= Q(territory_id__in=principal.territory_ids)
    return condition


def contains(principal: Principal, reached: frozenset[Scope], row: Any) -> bool:
    """Whether ``row`` (with the scope columns as attributes) is within the scopes."""
    if Scope.ALL in reached:
        return True
    return bool(
        (Scope.OWN in reached and principal.user_id is not None and row.owner_id == principal.user_id)
        or (Scope.TEAM in reached and row.team_id in principal.team_ids)
        or (Scope.TERRITORY in reached and row.territory_id in principal.territory_ids)
    )
