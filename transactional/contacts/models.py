"""Accounts, contacts and the links between them. Contacts is the master: other services hold replicas of accounts."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q

from transactional.kernel.base import BusinessModel, ScopedModel, address, currency, key, money
from transactional.kernel.lifecycle import Lifecycle, Transition
from transactional.kernel.money import not_negative

ACCOUNT_TYPES = ("Customer", "Vendor", "Partner", "Prospect")
ACTIVE, INACTIVE, ON_HOLD = STATUSES = ("Active", "Inactive", "On Hold")
CONTACT, EMPLOYEE = PRIMARY_CONTACT_KINDS = ("contact", "employee")


class AccountKey(models.ForeignKey[Any, Any]):
    """A foreign key to an account, whose id stands in attribute and column ``<name>_uuid``."""

    def get_attname(self) -> str:
        return f"{self.name}_uuid"


class Account(ScopedModel):
    """A customer, vendor, partner or prospect.

    ``status`` is On Hold exactly while Finance holds the account; ``status_before_hold`` then keeps what release
    brings back. ``hold_version`` is the version of Finance's profile that last spoke: an older word is not heard again.
    """

    id = None
    account_uuid = key()
    account_number = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    primary_contact_kind = models.CharField(max_length=10, null=True)  # noqa: DJ001 (absent is null)
    primary_contact_id = models.UUIDField(null=True)
    account_type = models.CharField(max_length=20)
    status = models.CharField(max_length=20, default=ACTIVE)
    status_before_hold = models.CharField(max_length=20, null=True)  # noqa: DJ001
    hold_version = models.BigIntegerField(default=0)
    billing_address = address()
    shipping_address = address()
    industry = models.CharField(max_length=200, null=True)  # noqa: DJ001
    annual_revenue = money(null=True)
    currency = currency(default="USD")
    parent = models.ForeignKey("self", models.PROTECT, null=True, db_column="parent_id", related_name="children")

    lifecycle = Lifecycle(
        "status",
        initial=ACTIVE,
        transitions=(
            Transition("activate", (INACTIVE,), ACTIVE),
            Transition("deactivate", (ACTIVE,), INACTIVE),
        ),
    )

    class Meta(ScopedModel.Meta):
        db_table = "account"
        constraints = [
            models.CheckConstraint(
                condition=Q(account_type__in=ACCOUNT_TYPES),
                name="account_account_type_known",
                violation_error_message="An account is a Customer, Vendor, Partner or Prospect.",
            ),
            models.CheckConstraint(
                condition=Q(status__in=STATUSES),
                name="account_status_known",
                violation_error_message="An account's status is Active, Inactive or On Hold.",
            ),
            models.CheckConstraint(
                condition=Q(status=ON_HOLD, status_before_hold__isnull=False, status_before_hold__in=(ACTIVE, INACTIVE))
                | (~Q(status=ON_HOLD) & Q(status_before_hold__isnull=True)),
                name="account_status_before_hold_while_on_hold",
                violation_error_message="The status before a hold is kept exactly while the account is On Hold.",
            ),
            models.CheckConstraint(
                condition=Q(primary_contact_kind__isnull=True, primary_contact_id__isnull=True)
                | Q(
                    primary_contact_kind__isnull=False,
                    primary_contact_kind__in=PRIMARY_CONTACT_KINDS,
                    primary_contact_id__isnull=False,
                ),
                name="account_primary_contact_whole",
                violation_error_message="A primary contact is a contact or an employee, with its id.",
            ),
            models.CheckConstraint(
                condition=not_negative("annual_revenue", nullable=True),
                name="account_annual_revenue_not_negative",
                violation_error_message="Annual revenue cannot be negative.",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("account_uuid")),
                name="account_parent_not_itself",
                violation_error_message="An account cannot be its own parent.",
            ),
        ]
        indexes = [
            models.Index(fields=["name"], name="account_name"),
            models.Index(fields=["territory_id"], name="account_territory"),
            models.Index(fields=["team_id"], name="account_team"),
            models.Index(fields=["owner_id"], name="account_owner"),
        ]

    @property
    def primary_contact(self) -> dict[str, Any] | None:
        """``{"kind": "contact"|"employee", "id": UUID}``, or None."""
        if self.primary_contact_kind is None:
            return None
        return {"kind": self.primary_contact_kind, "id": self.primary_contact_id}


class Contact(ScopedModel):
    """A person. ``account`` is the home account, if any; further ones are links (``AccountContact``)."""

    account = AccountKey(Account, models.PROTECT, null=True, related_name="contacts")
    first_name = models.CharField(max_length=200, null=True)  # noqa: DJ001
    last_name = models.CharField(max_length=200)
    title = models.CharField(max_length=200, null=True)  # noqa: DJ001
    email = models.CharField(max_length=254, null=True)  # noqa: DJ001
    phone = models.CharField(max_length=40, null=True)  # noqa: DJ001
    job_title = models.CharField(max_length=200, null=True)  # noqa: DJ001

    class Meta(ScopedModel.Meta):
        db_table = "contact"
        indexes = [
            models.Index(fields=["last_name", "first_name"], name="contact_name"),
            models.Index(fields=["email"], name="contact_email"),
            models.Index(fields=["territory_id"], name="contact_territory"),
        ]


class AccountContact(BusinessModel):
    """A person's part in an account: Buyer, Decision maker, …"""

    account = AccountKey(Account, models.PROTECT, related_name="contact_roles")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="account_roles")
    role = models.CharField(max_length=200)

    class Meta(BusinessModel.Meta):
        db_table = "account_contact"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "contact", "role"],
                name="account_contact_once",
                violation_error_message="The contact already has this role in the account.",
            )
        ]


class AccountRelationship(BusinessModel):
    """What one account is to another, read in the direction of ``from_account``: *from* is the reseller of *to*."""

    from_account = models.ForeignKey(Account, models.PROTECT, db_column="from_account", related_name="relationships")
    to_account = models.ForeignKey(
        Account, models.PROTECT, db_column="to_account", related_name="relationships_of_others"
    )
    kind = models.CharField(max_length=200)

    class Meta(BusinessModel.Meta):
        db_table = "account_relationship"
        constraints = [
            models.UniqueConstraint(
                fields=["from_account", "to_account", "kind"],
                name="account_relationship_once",
                violation_error_message="The accounts are already related in this way.",
            ),
            models.CheckConstraint(
                condition=~Q(from_account=F("to_account")),
                name="account_relationship_of_two",
                violation_error_message="An account cannot be related to itself.",
            ),
        ]
