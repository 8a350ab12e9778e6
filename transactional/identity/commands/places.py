"""Teams and territories: where people work and what they look after."""

from __future__ import annotations

from uuid import UUID

from transactional.contracts.base import UNSET, Command
from transactional.contracts.events import TeamChanged, TerritoryChanged
from transactional.contracts.types import CountryCode, Text
from transactional.identity.models import Team, Territory
from transactional.identity.queries import require_team, teams_below
from transactional.kernel.bulk import Row, copy_rows
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import bulk, command


class CreateTeam(Command):
    """Create a team, below another one or at the top."""

    name: Text
    parent_id: UUID | None = None


@command(CreateTeam, resource="identity.team")
def create_team(ctx: Context, cmd: CreateTeam) -> Team:
    require_team(cmd.parent_id, "parent_id")
    team = Team(name=cmd.name, parent_id=cmd.parent_id)
    team.save()
    ctx.emit(TeamChanged.of(team))
    return team


@bulk(CreateTeam, resource="identity.team")
def create_teams(ctx: Context, rows: list[Row[CreateTeam]]) -> None:
    """Create many teams. Parents must exist before."""
    known = set(Team.objects.values_list("pk", flat=True))
    made = []
    for row in rows:
        if row.cmd.parent_id is not None and row.cmd.parent_id not in known:
            row.reject("parent_id", "unknown", f"There is no team {row.cmd.parent_id}.")
            continue
        team = Team(name=row.cmd.name, parent_id=row.cmd.parent_id)
        made.append(team)
        row.accept(team)
    copy_rows(made)
    for team in made:
        ctx.emit(TeamChanged.of(team))


class UpdateTeam(Command):
    """Rename a team or move it below another. Fields that are left out stay."""

    id: UUID
    name: Text = UNSET
    parent_id: UUID | None = UNSET


@command(UpdateTeam, resource="identity.team", target="id")
def update_team(ctx: Context, cmd: UpdateTeam) -> Team:
    # One move at a time: two that cross could close a circle that neither sees.
    list(Team.objects.order_by("pk").select_for_update().values_list("pk"))
    team = Team.objects.for_update(ctx, cmd.id)
    require_team(cmd.parent_id, "parent_id")
    if cmd.parent_id in teams_below(team.pk):
        raise Invalid("parent_id", "cycle", f"Team {cmd.parent_id} is {team.name} itself or below it.")
    if team.change(**cmd.given()):
        ctx.emit(TeamChanged.of(team))
    return team


class CreateTerritory(Command):
    """Create a territory."""

    name: Text
    country_code: CountryCode
    group_name: Text


@command(CreateTerritory, resource="identity.territory")
def create_territory(ctx: Context, cmd: CreateTerritory) -> Territory:
    territory = Territory(name=cmd.name, country_code=cmd.country_code, group_name=cmd.group_name)
    territory.save()
    ctx.emit(TerritoryChanged.of(territory))
    return territory


@bulk(CreateTerritory, resource="identity.territory")
def create_territories(ctx: Context, rows: list[Row[CreateTerritory]]) -> None:
    """Create many territories."""
    made = []
    for row in rows:
        territory = Territory(name=row.cmd.name, country_code=row.cmd.country_code, group_name=row.cmd.group_name)
        made.append(territory)
        row.accept(territory)
    copy_rows(made)
    for territory in made:
        ctx.emit(TerritoryChanged.of(territory))


class UpdateTerritory(Command):
    """Change a territory. Fields that are left out stay."""

    id: UUID
    name: Text = UNSET
    country_code: CountryCode = UNSET
    group_name: Text = UNSET


@command(UpdateTerritory, resource="identity.territory", target="id")
def update_territory(ctx: Context, cmd: UpdateTerritory) -> Territory:
    territory = Territory.objects.for_update(ctx, cmd.id)
    if territory.change(**cmd.given()):
        ctx.emit(TerritoryChanged.of(territory))
    return territory
