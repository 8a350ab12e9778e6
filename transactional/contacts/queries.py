"""Local reads that commands need: what an input refers to, what a contact belongs to, the next account numbers."""

from __future__ import annotations

from uuid import UUID

from django.db import connections

from transactional.contacts.models import Account, AccountContact, Contact
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid


def account_numbers(count: int) -> list[str]:
    """``AC-000001`` and on, from a sequence: a command that fails leaves a gap, which is allowed."""
    with connections["contacts"].cursor() as cursor:
        cursor.execute("select nextval('account_number_seq') from generate_series(1, %s)", [count])
        return [f"AC-{number:06d}" for (number,) in cursor.fetchall()]


def referred_account(ctx: Context, account_uuid: UUID, field: str) -> Account:
    """The account an input names; Invalid names ``field`` if there is none that the actor may see."""
    account = Account.objects.visible_to(ctx).filter(pk=account_uuid).first()
    if account is None:
        raise Invalid(field, "unknown", f"There is no account {account_uuid}.")
    return account


def referred_contact(ctx: Context, contact_id: UUID, field: str) -> Contact:
    """The contact an input names; Invalid names ``field`` if there is none that the actor may see."""
    contact = Contact.objects.visible_to(ctx).filter(pk=contact_id).first()
    if contact is None:
        raise Invalid(field, "unknown", f"There is no contact {contact_id}.")
    return contact


def belongs_to(contact: Contact, account_uuid: UUID) -> bool:
    """Whether the contact is at home in the account or linked to it."""
    return contact.account_uuid == account_uuid or (
        AccountContact.objects.filter(contact_id=contact.pk, account_uuid=account_uuid).exists()
    )
