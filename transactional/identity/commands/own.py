"""What everybody may do for themselves: end their sessions, keep views of lists."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from transactional.contracts.base import UNSET, Command
from transactional.contracts.types import Text
from transactional.identity.commands.users import end_sessions
from transactional.identity.models import SavedView, UserAccount
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Forbidden
from transactional.kernel.registry import command

ListName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,49}$")]
Query = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x20]*$")]
MAX_VIEWS = 50
"""Of one list and person."""


class EndOwnSessions(Command):
    """Log out everywhere: every session and token of one's own ends at once, at every service."""

    id: UUID


@command(EndOwnSessions, resource="identity.user_account", target="id", verb="end_own_sessions")
def end_own_sessions(ctx: Context, cmd: EndOwnSessions) -> UserAccount:
    user = UserAccount.objects.for_update(ctx, cmd.id)
    if user.pk != ctx.actor.user_id:
        raise Forbidden(f"{ctx.actor.name} ends only their own sessions; identity.revoke_tokens ends those of others.")
    end_sessions(ctx, user)
    return user


class CreateSavedView(Command):
    """Keep a list's filters, columns and order under a name. ``query`` is the address's query string."""

    list_name: ListName
    name: Text
    query: Query


@command(CreateSavedView, resource="identity.saved_view")
def create_saved_view(ctx: Context, cmd: CreateSavedView) -> SavedView:
    mine = SavedView.objects.filter(owner_id=ctx.actor.user_id, list_name=cmd.list_name)
    if mine.count() >= MAX_VIEWS:
        raise Conflict(f"A list can have {MAX_VIEWS} views of yours; remove one first.", code="too_many_views")
    view = SavedView(owner_id=ctx.actor.user_id, list_name=cmd.list_name, name=cmd.name, query=cmd.query)
    view.save()
    return view


class UpdateSavedView(Command):
    """Change a view's name or what it shows. Fields that are left out stay."""

    id: UUID
    name: Text = UNSET
    query: Query = UNSET


@command(UpdateSavedView, resource="identity.saved_view", target="id", verb="update")
def update_saved_view(ctx: Context, cmd: UpdateSavedView) -> SavedView:
    view: SavedView = SavedView.objects.for_update(ctx, cmd.id)
    view.change(**cmd.given())
    return view


class RemoveSavedView(Command):
    """Remove a view. What it showed is not touched."""

    id: UUID


class Removed(BaseModel):
    """What was removed."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str


@command(RemoveSavedView, resource="identity.saved_view", target="id", verb="remove")
def remove_saved_view(ctx: Context, cmd: RemoveSavedView) -> Removed:
    view: SavedView = SavedView.objects.for_update(ctx, cmd.id)
    removed = Removed(id=view.pk, name=view.name)
    view.delete()
    return removed
