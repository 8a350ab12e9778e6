"""Links: contacts' parts in accounts, and accounts' relationships with each other."""

from __future__ import annotations

from uuid import UUID

from transactional.contacts.models import Account, AccountContact, AccountRelationship
from transactional.contacts.queries import referred_account, referred_contact
from transactional.contracts.base import Command
from transactional.contracts.types import Text
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Invalid
from transactional.kernel.registry import command


class LinkContact(Command):
    """Give a contact a role in an account."""

    account_uuid: UUID
    contact_id: UUID
    role: Text


@command(LinkContact, resource="contacts.account", target="account_uuid")
def link_contact(ctx: Context, cmd: LinkContact) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    contact = referred_contact(ctx, cmd.contact_id, "contact_id")
    if AccountContact.objects.filter(account=account, contact=contact, role=cmd.role).exists():
        raise Conflict(f"Contact {contact.pk} already is {cmd.role} in account {account.pk}.", code="already_linked")
    AccountContact(account=account, contact=contact, role=cmd.role).save()
    return account


class UnlinkContact(Command):
    """Take a contact's role in an account away."""

    account_uuid: UUID
    contact_id: UUID
    role: Text


@command(UnlinkContact, resource="contacts.account", target="account_uuid")
def unlink_contact(ctx: Context, cmd: UnlinkContact) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    links = AccountContact.objects.filter(account=account, contact_id=cmd.contact_id)
    link = links.filter(role=cmd.role).first()
    if link is None:
        raise Invalid("contact_id", "unknown", f"Contact {cmd.contact_id} has no role {cmd.role} in this account.")
    last = links.count() == 1 and link.contact.account_uuid != account.pk
    if last and account.primary_contact_id == link.contact_id:
        raise Conflict(
            f"Contact {link.contact_id} is the primary contact of account {account.pk}; name another one first.",
            code="primary_contact",
        )
    link.delete()
    return account


class RelateAccount(Command):
    """Say what this account is to another one: *Reseller of*, *Subcontractor of*, …"""

    account_uuid: UUID
    to_account: UUID
    kind: Text


@command(RelateAccount, resource="contacts.account", target="account_uuid")
def relate_account(ctx: Context, cmd: RelateAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    other = referred_account(ctx, cmd.to_account, "to_account")
    if other.pk == account.pk:
        raise Invalid("to_account", "itself", "An account cannot be related to itself.")
    if AccountRelationship.objects.filter(from_account=account, to_account=other, kind=cmd.kind).exists():
        raise Conflict(f"Account {account.pk} already is {cmd.kind} {other.pk}.", code="already_related")
    AccountRelationship(from_account=account, to_account=other, kind=cmd.kind).save()
    return account


class UnrelateAccount(Command):
    """End a relationship of this account with another one."""

    account_uuid: UUID
    to_account: UUID
    kind: Text


@command(UnrelateAccount, resource="contacts.account", target="account_uuid")
def unrelate_account(ctx: Context, cmd: UnrelateAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    relationship = AccountRelationship.objects.filter(
        from_account=account, to_account_id=cmd.to_account, kind=cmd.kind
    ).first()
    if relationship is None:
        raise Invalid("to_account", "unknown", f"The account is not {cmd.kind} {cmd.to_account}.")
    relationship.delete()
    return account
