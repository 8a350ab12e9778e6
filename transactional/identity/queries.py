"""Local reads of identity: hierarchies, and whether named things exist."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import connections

from policy.roles import ROLES
from transactional.identity.models import Team, Territory
from transactional.kernel.problems import Invalid

_BELOW = """
with recursive below(id, depth) as (
    select id, 0 from team where id = %s
    union
    select team.id, below.depth + 1
    from team
    join below on team.parent_id = below.id
)
select id from below group by id order by min(depth), id
"""


def teams_below(team_id: UUID | None) -> list[UUID]:
    """The team itself, first, and every team below it."""
    if team_id is None:
        return []
    with connections["identity"].cursor() as cursor:
        cursor.execute(_BELOW, [team_id])
        return [row[0] for row in cursor.fetchall()]


def require_team(team_id: UUID | None, field: str = "team_id") -> None:
    """Raises Invalid for a team that does not exist."""
    if team_id is not None and not Team.objects.filter(pk=team_id).exists():
        raise Invalid(field, "unknown", f"There is no team {team_id}.")


def require_territories(ids: Iterable[UUID]) -> None:
    """Raises Invalid naming the first territory that does not exist."""
    wanted = set(ids)
    known = set(Territory.objects.filter(pk__in=wanted).values_list("pk", flat=True)) if wanted else set()
    if wanted - known:
        raise Invalid("territory_ids", "unknown", f"There is no territory {min(wanted - known)}.")


def require_roles(roles: Iterable[str], field: str = "roles") -> None:
    """Raises Invalid naming the first role that policy does not know."""
    unknown = sorted(set(roles) - ROLES.keys())
    if unknown:
        raise Invalid(field, "unknown", f"There is no role {unknown[0]!r}. Roles: {', '.join(sorted(ROLES))}.")
