"""Accounts: create, change, arrange under a parent, activate, hand over."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from transactional.contacts.models import CONTACT, Account, AccountContact
from transactional.contacts.queries import account_numbers, belongs_to, referred_account, referred_contact
from transactional.contracts.base import UNSET, Command
from transactional.contracts.events import AccountCreated, AccountUpdated
from transactional.contracts.types import Address, Currency, Custom, NonNegativeAmount, Text
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import command
from transactional.kernel.trees import lock_tree

AccountType = Literal["Customer", "Vendor", "Partner", "Prospect"]


class PrimaryContact(BaseModel):
    """The main person: a contact of this service, or one of our employees (a user's id)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    kind: Literal["contact", "employee"]
    id: UUID


class CreateAccount(Command):
    """Create an account. Owner, team and territory are the creator's own unless given."""

    name: Text
    account_type: AccountType = "Prospect"
    status: Literal["Active", "Inactive"] = "Active"
    primary_contact: PrimaryContact | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    industry: Text | None = None
    annual_revenue: NonNegativeAmount | None = None
    currency: Currency = "USD"
    parent_id: UUID | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    territory_id: UUID | None = None
    custom: Custom = {}


@command(CreateAccount, resource="contacts.account")
def create_account(ctx: Context, cmd: CreateAccount) -> Account:
    if cmd.parent_id is not None:
        referred_account(ctx, cmd.parent_id, "parent_id")
    (number,) = account_numbers(1)
    account = new_account(ctx, cmd, number)
    account.save()
    if cmd.primary_contact is not None and cmd.primary_contact.kind == CONTACT:
        _make_member(ctx, account, cmd.primary_contact.id, "primary_contact")
    ctx.emit(AccountCreated.of(account))
    return account


def new_account(ctx: Context, cmd: CreateAccount, number: str) -> Account:
    """The row that ``cmd`` asks for, not saved yet."""
    primary = cmd.primary_contact
    return Account(
        account_number=number,
        name=cmd.name,
        account_type=cmd.account_type,
        status=cmd.status,
        primary_contact_kind=primary.kind if primary else None,
        primary_contact_id=primary.id if primary else None,
        billing_address=as_json(cmd.billing_address),
        shipping_address=as_json(cmd.shipping_address),
        industry=cmd.industry,
        annual_revenue=cmd.annual_revenue,
        currency=cmd.currency,
        parent_id=cmd.parent_id,
        custom=cmd.custom,
        **ctx.scope_values(cmd),
    )


def as_json(address: Address | None) -> dict[str, str | None] | None:
    return None if address is None else address.model_dump()


class UpdateAccount(Command):
    """Change an account's master data. Fields left out stay; of ``custom``, keys left out stay and null removes."""

    account_uuid: UUID
    name: Text = UNSET
    account_type: AccountType = UNSET
    billing_address: Address | None = UNSET
    shipping_address: Address | None = UNSET
    industry: Text | None = UNSET
    annual_revenue: NonNegativeAmount | None = UNSET
    currency: Currency = UNSET
    custom: Custom = UNSET


@command(UpdateAccount, resource="contacts.account", target="account_uuid")
def update_account(ctx: Context, cmd: UpdateAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    values = cmd.given()
    for field in values.keys() & {"billing_address", "shipping_address"}:
        values[field] = as_json(values[field])
    if "custom" in values:
        values["custom"] = merged(account.custom, values["custom"])
    return _changed(ctx, account, values)


def merged(custom: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
    """``custom`` with ``changes`` laid over it; a null takes the key away."""
    return {name: value for name, value in (custom | changes).items() if value is not None}


class SetParent(Command):
    """Put an account below another one, or (null) at the top. An account can never be its own ancestor."""

    account_uuid: UUID
    parent_id: UUID | None


@command(SetParent, resource="contacts.account", target="account_uuid")
def set_parent(ctx: Context, cmd: SetParent) -> Account:
    lock_tree("contacts", "account")
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    if cmd.parent_id == account.pk:
        raise Invalid("parent_id", "cycle", f"Account {account.account_number} would become its own ancestor.")
    if cmd.parent_id is not None:
        referred_account(ctx, cmd.parent_id, "parent_id")
    return _changed(ctx, account, {"parent_id": cmd.parent_id})


class SetPrimaryContact(Command):
    """Name the account's main person, or (null) none. A contact that is not yet of the account is linked to it."""

    account_uuid: UUID
    primary_contact: PrimaryContact | None


@command(SetPrimaryContact, resource="contacts.account", target="account_uuid")
def set_primary_contact(ctx: Context, cmd: SetPrimaryContact) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    primary = cmd.primary_contact
    if primary is not None and primary.kind == CONTACT:
        _make_member(ctx, account, primary.id, "primary_contact")
    return _changed(
        ctx,
        account,
        {
            "primary_contact_kind": primary.kind if primary else None,
            "primary_contact_id": primary.id if primary else None,
        },
    )


def _make_member(ctx: Context, account: Account, contact_id: UUID, field: str) -> None:
    contact = referred_contact(ctx, contact_id, field)
    if not belongs_to(contact, account.account_uuid):
        AccountContact(account=account, contact=contact, role="Primary contact").save()


class DeactivateAccount(Command):
    """Set an account out of use."""

    account_uuid: UUID


@command(DeactivateAccount, resource="contacts.account", target="account_uuid")
def deactivate_account(ctx: Context, cmd: DeactivateAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    account.lifecycle.apply("deactivate")
    ctx.emit(AccountUpdated.of(account))
    return account


class ActivateAccount(Command):
    """Take an inactive account back into use."""

    account_uuid: UUID


@command(ActivateAccount, resource="contacts.account", target="account_uuid")
def activate_account(ctx: Context, cmd: ActivateAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    account.lifecycle.apply("activate")
    ctx.emit(AccountUpdated.of(account))
    return account


class AssignAccount(Command):
    """Hand an account over to an owner, team or territory. Fields left out stay; null takes it from everyone."""

    account_uuid: UUID
    owner_id: UUID | None = UNSET
    team_id: UUID | None = UNSET
    territory_id: UUID | None = UNSET


@command(AssignAccount, resource="contacts.account", target="account_uuid")
def assign_account(ctx: Context, cmd: AssignAccount) -> Account:
    account = Account.objects.for_update(ctx, cmd.account_uuid)
    if not cmd.given():
        raise Invalid("owner_id", "missing", "Say an owner, a team or a territory.")
    return _changed(ctx, account, cmd.given())


def _changed(ctx: Context, account: Account, values: dict[str, object]) -> Account:
    """Writes what differs and says so; nothing differs, nothing happens."""
    if account.change(**values):
        ctx.emit(AccountUpdated.of(account))
    return account
