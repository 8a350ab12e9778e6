"""Accounts and contacts in bulk, as imports bring them."""

from __future__ import annotations

from collections.abc import Set
from uuid import UUID

from django.db import connections
from pydantic import BaseModel, ConfigDict, Field

from policy.decide import scopes
from policy.rows import contains, row_filter
from transactional.contacts.commands.accounts import CreateAccount, new_account
from transactional.contacts.commands.contacts import CreateContact, PersonFields, new_contact
from transactional.contacts.models import CONTACT, Account, AccountContact, Contact
from transactional.contacts.queries import account_numbers
from transactional.contracts.events import AccountCreated, AccountUpdated
from transactional.contracts.types import Text
from transactional.kernel.bulk import ReferenceKey, Row, copy_rows
from transactional.kernel.context import Context
from transactional.kernel.references import resolve
from transactional.kernel.registry import bulk


class Person(PersonFields):
    """The account's main person, who is created with it, at home in it and as much whose as it is.

    ``role`` is the person's part in the account, ``key`` what the contact is called elsewhere. Takes the permissions
    ``contacts.create_contact``, ``contacts.link_contact`` and ``contacts.set_primary_contact``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    role: Text = "Primary contact"
    key: ReferenceKey | None = None


class BulkAccount(CreateAccount):
    """An account whose parent may be named by its key elsewhere; parents come before children.

    Its primary contact comes with it as ``person``, or later with the contact's own row (``memberships``), which costs
    an update of the account and an event.
    """

    parent_key: ReferenceKey | None = None
    person: Person | None = None


@bulk(BulkAccount, resource="contacts.account", permission="contacts.create_account")
def create_accounts(ctx: Context, rows: list[Row[BulkAccount]]) -> None:
    keys = [row.cmd.parent_key for row in rows if row.cmd.parent_key is not None]
    known = resolve(ctx, "contacts.account", keys)
    named = {row.cmd.parent_id for row in rows if row.cmd.parent_id is not None} | set(known.values())
    visible: set[UUID] = set(Account.objects.visible_to(ctx).filter(pk__in=named).values_list("pk", flat=True))
    numbers = iter(account_numbers(len(rows)))
    made: list[Account] = []
    people: list[Contact] = []
    links: list[AccountContact] = []
    for row in rows:
        parent_id, key = row.cmd.parent_id, row.cmd.parent_key
        if key is not None:
            parent_id = known.get(key)
            if parent_id not in visible:
                row.reject("parent_key", "unknown", f"{key.source} has no account {key.key} here.")
        elif parent_id is not None and parent_id not in visible:
            row.reject("parent_id", "unknown", f"There is no account {parent_id}.")
        if row.cmd.primary_contact is not None and row.cmd.primary_contact.kind == CONTACT:
            row.reject("primary_contact", "later", "Give the person with the account, or with the contact's own row.")
        if not row.open:
            continue
        account = new_account(ctx, row.cmd, next(numbers))
        account.parent_id = parent_id
        if row.cmd.person is not None:
            contact = _primary(ctx, account, row.cmd.person)
            if not _may_give(ctx, account, contact):
                row.reject("person", "forbidden", "You may not give accounts like this one contacts.")
                continue
            people.append(contact)
            links.append(AccountContact(account=account, contact=contact, role=row.cmd.person.role))
            if row.cmd.person.key is not None:
                ctx.refer(contact, row.cmd.person.key.source, row.cmd.person.key.key)
        made.append(account)
        row.accept(account)
        visible.add(account.account_uuid)
        if row.key is not None:
            known[row.key] = account.account_uuid
    copy_rows(made)
    copy_rows(people)
    copy_rows(links)
    for account in made:
        ctx.emit(AccountCreated.of(account))


def _primary(ctx: Context, account: Account, person: Person) -> Contact:
    """The account's person, not saved yet, named in the account as its primary contact."""
    fields = person.model_dump(exclude={"role", "key"})
    scope = {name: getattr(account, name) for name in ("owner_id", "team_id", "territory_id")}
    contact = Contact(account_uuid=account.account_uuid, **fields, **scope)
    account.primary_contact_kind = CONTACT
    account.primary_contact_id = contact.id
    return contact


def _may_give(ctx: Context, account: Account, contact: Contact) -> bool:
    """Whether the actor may do to each of the two what a command for it alone would ask."""
    asked: tuple[tuple[str, Account | Contact], ...] = (
        ("contacts.create_contact", contact),
        ("contacts.link_contact", account),
        ("contacts.set_primary_contact", account),
    )
    roles = ctx.actor.roles
    return all(contains(ctx.actor, scopes(roles, permission, row.object_type()), row) for permission, row in asked)


class Membership(BaseModel):
    """The contact's part in an account; ``primary`` makes it the account's primary contact.

    Takes the permissions ``contacts.link_contact`` and ``contacts.set_primary_contact``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    account_uuid: UUID
    role: Text
    primary: bool = False


class BulkContact(CreateContact):
    """A contact with its parts in accounts, beside the home account."""

    memberships: list[Membership] = Field(default=[], max_length=100)


@bulk(BulkContact, resource="contacts.contact", permission="contacts.create_contact")
def create_contacts(ctx: Context, rows: list[Row[BulkContact]]) -> None:
    homes = _reachable(ctx, ctx.permission, {row.cmd.account_uuid for row in rows} - {None})
    parts = {part.account_uuid for row in rows for part in row.cmd.memberships}
    linkable = _reachable(ctx, "contacts.link_contact", parts)
    nameable = _reachable(ctx, "contacts.set_primary_contact", parts)
    contacts: list[Contact] = []
    links: list[AccountContact] = []
    primaries: dict[UUID, UUID] = {}
    for row in rows:
        if row.cmd.account_uuid is not None and row.cmd.account_uuid not in homes:
            row.reject("account_uuid", "unknown", f"There is no account {row.cmd.account_uuid}.")
        for number, part in enumerate(row.cmd.memberships):
            if part.account_uuid not in (linkable & nameable if part.primary else linkable):
                field = f"memberships.{number}.account_uuid"
                row.reject(field, "unknown", f"There is no account {part.account_uuid} that you may give contacts.")
        if len({(part.account_uuid, part.role) for part in row.cmd.memberships}) < len(row.cmd.memberships):
            row.reject("memberships", "repeated", "The contact has the same role in the same account twice.")
        if not row.open:
            continue
        contact = new_contact(ctx, row.cmd)
        contacts.append(contact)
        row.accept(contact)
        for part in row.cmd.memberships:
            links.append(AccountContact(account_uuid=part.account_uuid, contact_id=contact.id, role=part.role))
            if part.primary:
                primaries[part.account_uuid] = contact.id
    copy_rows(contacts)
    copy_rows(links)
    _set_primary_contacts(ctx, primaries)


def _reachable(ctx: Context, permission: str, accounts: Set[UUID | None]) -> Set[UUID]:
    """Which of the accounts the actor reaches with a permission: linking takes another one than creating."""
    reached = scopes(ctx.actor.roles, permission, Account.object_type())
    found = Account.objects.filter(row_filter(ctx.actor, reached), pk__in=accounts)
    return frozenset(found.values_list("pk", flat=True))


def _set_primary_contacts(ctx: Context, primaries: dict[UUID, UUID]) -> None:
    """Account → its new primary contact, in one statement. Of several rows that claim an account the last counts."""
    if not primaries:
        return
    accounts = Account.objects.filter(pk__in=primaries).order_by("pk").select_for_update()
    changed = [account for account in accounts if account.primary_contact_id != primaries[account.account_uuid]]
    for account in changed:
        account.primary_contact_kind = CONTACT
        account.primary_contact_id = primaries[account.account_uuid]
        account.version += 1
        account.updated_at = ctx.now
        ctx.emit(AccountUpdated.of(account))
    with connections["contacts"].cursor() as cursor:
        cursor.execute(
            """
            update account
            set primary_contact_kind = %s, primary_contact_id = given.contact, version = version + 1, updated_at = %s
            from unnest(%s::uuid[], %s::uuid[]) as given(account, contact)
            where account_uuid = given.account
            """,
            [
                CONTACT,
                ctx.now,
                [account.account_uuid for account in changed],
                [account.primary_contact_id for account in changed],
            ],
        )
