"""What callers see of identity."""

from __future__ import annotations

from uuid import UUID

from transactional.identity.models import SavedView, Team, Territory, UserAccount, UserGroup
from transactional.kernel.registry import Resource, resource


@resource(
    UserAccount,
    path="users",
    filters=("username", "is_active", "team_id"),
    prefetch=("role_assignments", "group_memberships__group"),
)
class UserResource(Resource):
    """A person or service that may log in, with the roles in force."""

    id: UUID
    username: str
    display_name: str
    email: str | None
    is_active: bool
    team_id: UUID | None
    territory_ids: list[UUID]
    roles: list[str]
    version: int


@resource(Team, path="teams", filters=("name", "parent_id"))
class TeamResource(Resource):
    """People who share rows; scope reaches down the hierarchy."""

    id: UUID
    name: str
    parent_id: UUID | None
    version: int


@resource(Territory, path="territories", filters=("name", "country_code", "group_name"))
class TerritoryResource(Resource):
    """A region of the market."""

    id: UUID
    name: str
    country_code: str
    group_name: str
    version: int


@resource(UserGroup, path="groups", filters=("name",))
class GroupResource(Resource):
    """Users who have the same roles."""

    id: UUID
    name: str
    roles: list[str]
    version: int


@resource(SavedView, path="saved-views", filters=("list_name",))
class SavedViewResource(Resource):
    """A person's own way to look at a list: the query string of its address, under a name."""

    id: UUID
    list_name: str
    name: str
    query: str
    version: int
