"""Groups: roles that many users have together."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from transactional.contracts.base import UNSET, Command
from transactional.contracts.types import Text
from transactional.identity.commands.users import RoleName, rights_changed
from transactional.identity.models import GroupMembership, UserAccount, UserGroup
from transactional.identity.queries import require_roles
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import command

Roles = Annotated[list[RoleName], Field(max_length=20)]


class CreateGroup(Command):
    """Create a group whose members have the given roles."""

    name: Text
    roles: Roles = []


@command(CreateGroup, resource="identity.user_group")
def create_group(ctx: Context, cmd: CreateGroup) -> UserGroup:
    require_roles(cmd.roles)
    group = UserGroup(name=cmd.name, roles=sorted(set(cmd.roles)))
    group.save()
    return group


class UpdateGroup(Command):
    """Rename a group or change its roles. Fields that are left out stay."""

    id: UUID
    name: Text = UNSET
    roles: Roles = UNSET


@command(UpdateGroup, resource="identity.user_group", target="id", verb="update")
def update_group(ctx: Context, cmd: UpdateGroup) -> UserGroup:
    group = UserGroup.objects.for_update(ctx, cmd.id)
    given = cmd.given()
    if "roles" in given:
        require_roles(given["roles"])
        given["roles"] = sorted(set(given["roles"]))
    if "roles" in group.change(**given):
        members = UserAccount.objects.filter(group_memberships__group=group)
        for user in members.order_by("pk").select_for_update(of=("self",)):
            rights_changed(ctx, user)
    return group


class AddMember(Command):
    """Take a user into a group."""

    id: UUID
    user_id: UUID


@command(AddMember, resource="identity.user_group", target="id")
def add_member(ctx: Context, cmd: AddMember) -> UserGroup:
    group = UserGroup.objects.for_update(ctx, cmd.id)
    user = _member(ctx, cmd.user_id)
    GroupMembership(group=group, user=user).save()
    rights_changed(ctx, user)
    return group


class RemoveMember(Command):
    """Take a user out of a group."""

    id: UUID
    user_id: UUID


@command(RemoveMember, resource="identity.user_group", target="id")
def remove_member(ctx: Context, cmd: RemoveMember) -> UserGroup:
    group = UserGroup.objects.for_update(ctx, cmd.id)
    user = _member(ctx, cmd.user_id)
    gone, _ = GroupMembership.objects.filter(group=group, user=user).delete()
    if not gone:
        raise Invalid("user_id", "absent", f"{user.username} is not a member of {group.name}.")
    rights_changed(ctx, user)
    return group


def _member(ctx: Context, user_id: UUID) -> UserAccount:
    user = UserAccount.objects.visible_to(ctx).select_for_update(of=("self",)).filter(pk=user_id).first()
    if user is None:
        raise Invalid("user_id", "unknown", f"There is no user {user_id}.")
    return user
