"""Contacts: create, change, hand over."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from policy.personal import PERSONAL
from transactional.contacts.commands.accounts import merged
from transactional.contacts.models import Account, AccountContact, Contact
from transactional.contacts.queries import referred_account
from transactional.contracts.base import UNSET, Command
from transactional.contracts.types import Custom, Email, Phone, Text
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Invalid
from transactional.kernel.registry import command


class PersonFields(BaseModel):
    """Who somebody is and how to reach them."""

    first_name: Text | None = None
    last_name: Text
    title: Text | None = None
    email: Email | None = None
    phone: Phone | None = None
    job_title: Text | None = None


class CreateContact(PersonFields, Command):
    """Create a contact, at home in an account or in none."""

    account_uuid: UUID | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    territory_id: UUID | None = None
    custom: Custom = {}


@command(CreateContact, resource="contacts.contact")
def create_contact(ctx: Context, cmd: CreateContact) -> Contact:
    if cmd.account_uuid is not None:
        referred_account(ctx, cmd.account_uuid, "account_uuid")
    contact = new_contact(ctx, cmd)
    contact.save()
    return contact


def new_contact(ctx: Context, cmd: CreateContact) -> Contact:
    """The row that ``cmd`` asks for, not saved yet."""
    return Contact(
        account_uuid=cmd.account_uuid,
        first_name=cmd.first_name,
        last_name=cmd.last_name,
        title=cmd.title,
        email=cmd.email,
        phone=cmd.phone,
        job_title=cmd.job_title,
        custom=cmd.custom,
        **ctx.scope_values(cmd),
    )


class UpdateContact(Command):
    """Change a contact. Fields that are left out stay; of ``custom``, keys left out stay and null removes."""

    id: UUID
    account_uuid: UUID | None = UNSET
    first_name: Text | None = UNSET
    last_name: Text = UNSET
    title: Text | None = UNSET
    email: Email | None = UNSET
    phone: Phone | None = UNSET
    job_title: Text | None = UNSET
    custom: Custom = UNSET


@command(UpdateContact, resource="contacts.contact", target="id")
def update_contact(ctx: Context, cmd: UpdateContact) -> Contact:
    contact = Contact.objects.for_update(ctx, cmd.id)
    values = cmd.given()
    if "account_uuid" in values:
        _may_move(ctx, contact, values["account_uuid"])
    if "custom" in values:
        values["custom"] = merged(contact.custom, values["custom"])
    contact.change(**values)
    return contact


def _may_move(ctx: Context, contact: Contact, account_uuid: UUID | None) -> None:
    """The new home must exist; the old one keeps its primary contact."""
    if account_uuid is not None:
        referred_account(ctx, account_uuid, "account_uuid")
    home = contact.account_uuid
    if home is None or home == account_uuid:
        return
    linked = AccountContact.objects.filter(account_uuid=home, contact=contact).exists()
    if not linked and Account.objects.filter(pk=home, primary_contact_id=contact.pk).exists():
        raise Conflict(
            f"Contact {contact.pk} is the primary contact of account {home}; name another one there first.",
            code="primary_contact",
        )


class AssignContact(Command):
    """Hand a contact over to an owner, team or territory. Fields left out stay; null takes it from everyone."""

    id: UUID
    owner_id: UUID | None = UNSET
    team_id: UUID | None = UNSET
    territory_id: UUID | None = UNSET


@command(AssignContact, resource="contacts.contact", target="id")
def assign_contact(ctx: Context, cmd: AssignContact) -> Contact:
    contact = Contact.objects.for_update(ctx, cmd.id)
    if not cmd.given():
        raise Invalid("owner_id", "missing", "Say an owner, a team or a territory.")
    contact.change(**cmd.given())
    return contact


ERASED = "(erased)"
"""What stands in place of a name that must not be empty."""


class EraseContact(Command):
    """Forget a person: every field that says something of them is emptied for good. Links and what they bought stay."""

    id: UUID


@command(EraseContact, resource="contacts.contact", target="id", permission="privacy.erase_contact")
def erase_contact(ctx: Context, cmd: EraseContact) -> Contact:
    """The present row alone; ``headwater erase`` sends this and takes the values out of history, too."""
    contact = Contact.objects.for_update(ctx, cmd.id)
    emptied: dict[str, object] = dict.fromkeys(PERSONAL["contacts.contact"])
    contact.change(**emptied | {"last_name": ERASED, "custom": {}})
    return contact
