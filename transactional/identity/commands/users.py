"""Users: create, change, roles, passwords, activation, revocation.

Whatever narrows or widens a user's rights moves ``tokens_valid_from``, so that older tokens die at every service.
"""

from __future__ import annotations

import time
from typing import Annotated
from uuid import UUID

from django.contrib.auth.hashers import make_password
from pydantic import Field, StringConstraints

from transactional.contracts.base import UNSET, Command
from transactional.contracts.events import UserChanged
from transactional.contracts.types import Email, Text
from transactional.identity.models import Credential, LoginSession, RoleAssignment, Team, Territory, UserAccount
from transactional.identity.queries import require_roles, require_team, require_territories
from transactional.kernel.base import now
from transactional.kernel.bulk import Row, copy_rows
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Invalid
from transactional.kernel.registry import bulk, command

Username = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,149}$")]
Password = Annotated[str, StringConstraints(min_length=10, max_length=200)]
RoleName = Annotated[str, StringConstraints(max_length=50)]
RIGHTS = frozenset({"team_id", "territory_ids", "is_active"})
"""Fields that a token carries or depends on."""


class CreateUser(Command):
    """Create a user. Without a password the user cannot log in until one is set."""

    username: Username
    display_name: Text
    email: Email | None = None
    password: Password | None = None
    team_id: UUID | None = None
    territory_ids: Annotated[list[UUID], Field(max_length=100)] = []
    roles: Annotated[list[RoleName], Field(max_length=20)] = []


@command(CreateUser, resource="identity.user_account", verb=None)
def create_user(ctx: Context, cmd: CreateUser) -> UserAccount:
    require_team(cmd.team_id)
    require_territories(cmd.territory_ids)
    require_roles(cmd.roles)
    user = _new(cmd)
    user.save()
    for role in _roles(user, cmd):
        role.save()
    if cmd.password is not None:
        Credential.objects.create(user=user, password=make_password(cmd.password))
    ctx.emit(UserChanged.of(user))
    return user


@bulk(CreateUser, resource="identity.user_account")
def create_users(ctx: Context, rows: list[Row[CreateUser]]) -> None:
    """Create many users, without passwords."""
    teams = set(Team.objects.values_list("pk", flat=True))
    territories = set(Territory.objects.values_list("pk", flat=True))
    users, roles = [], []
    for row in rows:
        try:
            require_roles(row.cmd.roles)
        except Invalid as unknown:
            row.reject("roles", "unknown", unknown.detail)
        if row.cmd.password is not None:
            row.reject("password", "not_in_bulk", "Set passwords one by one.")
        if row.cmd.team_id is not None and row.cmd.team_id not in teams:
            row.reject("team_id", "unknown", f"There is no team {row.cmd.team_id}.")
        if not territories.issuperset(row.cmd.territory_ids):
            row.reject("territory_ids", "unknown", "One of the territories does not exist.")
        if row.errors:
            continue
        user = _new(row.cmd)
        users.append(user)
        roles += _roles(user, row.cmd)
        row.accept(user)
    copy_rows([*users, *roles])
    for user in users:
        ctx.emit(UserChanged.of(user))


class UpdateUser(Command):
    """Change who a user is and where they work. Fields that are left out stay."""

    id: UUID
    display_name: Text = UNSET
    email: Email | None = UNSET
    team_id: UUID | None = UNSET
    territory_ids: Annotated[list[UUID], Field(max_length=100)] = UNSET


@command(UpdateUser, resource="identity.user_account", target="id", verb="update")
def update_user(ctx: Context, cmd: UpdateUser) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    require_team(cmd.team_id)
    require_territories(cmd.territory_ids or ())
    _change(ctx, user, **cmd.given())
    return user


class AssignRole(Command):
    """Give a user a role."""

    id: UUID
    role: RoleName


@command(AssignRole, resource="identity.user_account", target="id")
def assign_role(ctx: Context, cmd: AssignRole) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    require_roles([cmd.role], "role")
    RoleAssignment(user=user, role=cmd.role).save()
    _change(ctx, user, tokens_valid_from=_from_now(user))
    return user


class WithdrawRole(Command):
    """Take a role from a user. Roles of their groups stay."""

    id: UUID
    role: RoleName


@command(WithdrawRole, resource="identity.user_account", target="id")
def withdraw_role(ctx: Context, cmd: WithdrawRole) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    gone, _ = RoleAssignment.objects.filter(user=user, role=cmd.role).delete()
    if not gone:
        raise Invalid("role", "absent", f"{user.username} does not have the role {cmd.role!r} of their own.")
    _change(ctx, user, tokens_valid_from=_from_now(user))
    return user


class SetPassword(Command):
    """Set a user's password. Sessions and tokens of before end."""

    id: UUID
    password: Password


@command(SetPassword, resource="identity.user_account", target="id")
def set_password(ctx: Context, cmd: SetPassword) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    Credential.objects.update_or_create(
        user=user, defaults={"password": make_password(cmd.password), "changed_at": now()}
    )
    end_sessions(ctx, user)
    return user


class RevokeTokens(Command):
    """End every session and token of a user at once, at every service."""

    id: UUID


@command(RevokeTokens, resource="identity.user_account", target="id")
def revoke_tokens(ctx: Context, cmd: RevokeTokens) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    end_sessions(ctx, user)
    return user


class DeactivateUser(Command):
    """Let a user in no more. What they did and own stays."""

    id: UUID


@command(
    DeactivateUser,
    resource="identity.user_account",
    target="id",
    verb="deactivate",
    available=lambda user: user.is_active,
)
def deactivate_user(ctx: Context, cmd: DeactivateUser) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    if not user.is_active:
        raise Conflict(f"User {user.username} is not active.")
    if user.pk == ctx.actor.user_id:
        raise Conflict("You cannot deactivate yourself; ask another administrator.")
    end_sessions(ctx, user, is_active=False)
    return user


class ActivateUser(Command):
    """Let a deactivated user in again."""

    id: UUID


@command(
    ActivateUser,
    resource="identity.user_account",
    target="id",
    verb="activate",
    available=lambda user: not user.is_active,
)
def activate_user(ctx: Context, cmd: ActivateUser) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    if user.is_active:
        raise Conflict(f"User {user.username} is active.")
    _change(ctx, user, is_active=True)
    return user


def rights_changed(ctx: Context, user: UserAccount) -> None:
    """Ends the user's tokens because rights changed elsewhere (a group's roles)."""
    _change(ctx, user, tokens_valid_from=_from_now(user))


def _new(cmd: CreateUser) -> UserAccount:
    return UserAccount(
        username=cmd.username,
        display_name=cmd.display_name,
        email=cmd.email,
        team_id=cmd.team_id,
        territory_ids=cmd.territory_ids,
    )


def _roles(user: UserAccount, cmd: CreateUser) -> list[RoleAssignment]:
    return [RoleAssignment(user=user, role=role) for role in dict.fromkeys(cmd.roles)]


def _change(ctx: Context, user: UserAccount, **values: object) -> None:
    if RIGHTS & {name for name, value in values.items() if getattr(user, name) != value}:
        values["tokens_valid_from"] = _from_now(user)
    if user.change(**values):
        ctx.emit(UserChanged.of(user))


def end_sessions(ctx: Context, user: UserAccount, **values: object) -> None:
    """Ends every session and token of the user, and changes ``values`` with it."""
    LoginSession.objects.filter(user=user, ended_at__isnull=True).update(ended_at=now())
    _change(ctx, user, tokens_valid_from=_from_now(user), **values)


def _from_now(user: UserAccount) -> int:
    """The next second: tokens count whole seconds, so one issued in this second is older. Never goes back."""
    return max(int(time.time()) + 1, user.tokens_valid_from + 1)
