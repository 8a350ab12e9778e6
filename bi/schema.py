"""The read API's documents, for OpenAPI. Amounts are decimal numbers as strings, so that no digit is lost."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class MasterData(BaseModel):
    """The account itself, as Contacts has it."""

    account_uuid: UUID
    account_number: str
    name: str
    account_type: str
    status: str
    status_before_hold: str | None
    primary_contact_kind: str | None
    primary_contact_id: UUID | None
    billing_address: dict[str, str | None] | None
    shipping_address: dict[str, str | None] | None
    industry: str | None
    annual_revenue: Decimal | None
    currency: str
    parent_id: UUID | None
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class Ancestor(BaseModel):
    account_uuid: UUID
    account_number: str
    name: str


class Child(Ancestor):
    status: str


class Hierarchy(BaseModel):
    """``ancestors`` from the topmost one that the caller may see downwards; at most 100 ``children``."""

    ancestors: list[Ancestor]
    children: list[Child]


class Person(BaseModel):
    """A contact of the account or linked to it by ``roles``."""

    contact_id: UUID
    first_name: str | None
    last_name: str
    job_title: str | None
    email: str | None
    phone: str | None
    roles: list[str]


class Finance(BaseModel):
    tax_id: str | None
    credit_limit: Decimal
    balance_due: Decimal
    currency: str
    payment_terms: str
    on_credit_hold: bool
    hold_reason: str | None
    hold_since: datetime | None


class Order(BaseModel):
    order_id: UUID
    order_number: str
    status: str
    channel: str
    order_date: date
    due_date: date | None
    ship_date: date | None
    currency: str
    sub_total: Decimal
    total_due: Decimal


class CurrencyTotals(BaseModel):
    order_count: int
    line_net: Decimal
    total_due: Decimal


class Totals(BaseModel):
    """From the mart ``c360_account``: orders confirmed, shipped or closed; ``lifetime_*`` in ``currency`` alone."""

    order_count: int
    first_order_date: date | None
    last_order_date: date | None
    order_count_365d: int = Field(description="Orders in the 365 days up to as_of")
    as_of: date
    currency: str
    lifetime_order_count: int
    lifetime_line_net: Decimal
    lifetime_total_due: Decimal
    average_order_value: Decimal | None
    by_currency: dict[str, CurrencyTotals]
    contact_count: int
    child_count: int
    credit_available: Decimal | None


class FieldChange(BaseModel):
    """Text forms; null is NULL, or nothing before a creation."""

    before: str | None
    after: str | None


class Change(BaseModel):
    """``op``: c created, u updated, d deleted, r read when the stream began. Without an actor it is unattributed."""

    at: datetime
    object: str
    op: Literal["c", "u", "d", "r", "t"]
    actor: UUID | None
    actor_name: str | None
    command: str | None
    reason: str | None
    request_id: UUID | None
    fields: dict[str, FieldChange]


class Watermark(BaseModel):
    """Everything that the source committed up to here is in the answer; ``totals`` hold what is up to theirs."""

    lsn: str
    committed_at: datetime | None
    totals_committed_at: datetime | None


class Account360(BaseModel):
    """One account with everything around it. A section that the caller's roles do not open is null."""

    account: MasterData
    hierarchy: Hierarchy
    contacts: list[Person] | None
    finance: Finance | None
    orders: list[Order] | None
    totals: Totals | None
    timeline: list[Change]
    watermark: dict[str, Watermark]


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457): why the request was refused."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]]
