"""What people read of accounts and contacts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from transactional.contacts.models import Account, Contact
from transactional.contracts.types import Address
from transactional.kernel.registry import Resource, resource


class PrimaryContactView(BaseModel):
    """The main person: a contact, or an employee (a user of ours)."""

    kind: Literal["contact", "employee"]
    id: UUID


class ContactRole(BaseModel):
    """A contact's part in the account."""

    model_config = ConfigDict(from_attributes=True)

    contact_id: UUID
    role: str


class Relationship(BaseModel):
    """What the account is to another one."""

    model_config = ConfigDict(from_attributes=True)

    to_account: UUID = Field(validation_alias="to_account_id")
    kind: str


@resource(
    Account,
    path="accounts",
    filters=("status", "account_type", "parent_id", "account_number"),
    prefetch=("contact_roles", "relationships"),
)
class AccountResource(Resource):
    """A customer, vendor, partner or prospect: the master that other services hold replicas of."""

    account_uuid: UUID
    account_number: str
    name: str
    primary_contact: PrimaryContactView | None
    account_type: Literal["Customer", "Vendor", "Partner", "Prospect"]
    status: Literal["Active", "Inactive", "On Hold"]
    status_before_hold: Literal["Active", "Inactive"] | None
    billing_address: Address | None
    shipping_address: Address | None
    industry: str | None
    annual_revenue: Decimal | None
    currency: str
    parent_id: UUID | None
    contact_roles: list[ContactRole]
    relationships: list[Relationship]
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@resource(Contact, path="contacts", filters=("account_uuid", "email", "last_name"), personal=True)
class ContactResource(Resource):
    """A person whom we know, at home in an account or in none."""

    id: UUID
    account_uuid: UUID | None
    first_name: str | None
    last_name: str
    title: str | None
    email: str | None
    phone: str | None
    job_title: str | None
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
