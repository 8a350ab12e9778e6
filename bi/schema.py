"""The read API's documents, for OpenAPI. Amounts are decimal numbers as strings, so that no digit is lost."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from bi.fields import Kind


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
    version: int
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
    version: int


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
    """Everything that the source committed up to ``lsn`` is in the answer, and everything until ``as_of``; totals hold
    what is up to theirs. ``committed_at`` is the last commit that is in it. ``whole``: of what was committed since, it
    holds whole transactions alone; over Kafka it may hold some rows of one before the others."""

    lsn: str
    committed_at: datetime | None
    as_of: datetime
    whole: bool
    totals_lsn: str
    totals_committed_at: datetime | None
    totals_as_of: datetime


class Account360(BaseModel):
    """One account with everything around it. A section that nobody asked for, or that the caller's roles do not open,
    is null."""

    account: MasterData
    hierarchy: Hierarchy | None
    contacts: list[Person] | None
    finance: Finance | None
    orders: list[Order] | None
    totals: Totals | None
    timeline: list[Change] | None
    watermark: dict[str, Watermark]


class ChangedField(FieldChange):
    """``label`` is what people call the field; ``*_words`` say what an id or an address stands for, where that is
    known and may be seen."""

    field: str
    label: str
    kind: Kind
    before_words: str | None
    after_words: str | None


class Entry(BaseModel):
    """A change of one row that belongs to the record: ``object`` and ``object_id`` name it, ``title`` is what it is
    called. ``actor_name`` is what the directory calls the actor, or what the change itself does. ``action`` is the
    command in words; amounts are of ``currency``. Without an actor it is unattributed."""

    at: datetime
    object: str
    object_id: str | None
    title: str | None
    op: Literal["c", "u", "d", "r", "t"]
    actor: UUID | None
    actor_name: str | None
    command: str | None
    action: str | None
    reason: str | None
    request_id: UUID | None
    currency: str | None
    fields: list[ChangedField]


class Timeline(BaseModel):
    """A page of changes, newest first. ``next`` asks for the page after it; null at the end.

    Where the page ends before the days that are kept in the archive alone, ``since`` is the first day after them and
    ``next`` leads on there; a page may then be shorter than asked for. While the archive gives no answer,
    ``archive_silent`` is true, the page is empty and ``next`` asks for it again.
    """

    changes: list[Entry]
    next: str | None
    since: date | None
    archive_silent: bool
    watermark: dict[str, Watermark]


class YearOfSales(BaseModel):
    """Orders confirmed, shipped or closed of a calendar year in one currency."""

    year: int
    currency: str
    order_count: int
    line_net: Decimal
    total_due: Decimal


class SalesByYear(BaseModel):
    """From the mart ``fct_sales_order``: oldest year first; years without a sale between are there with zeros."""

    account_uuid: UUID
    account_number: str
    currency: str
    years: list[YearOfSales]
    watermark: dict[str, Watermark]


class Price(BaseModel):
    """``valid_from`` and ``valid_to`` are both included; without the latter until further notice."""

    amount: Decimal
    currency: str
    valid_from: date
    valid_to: date | None


class Category(BaseModel):
    category_id: UUID
    name: str


class LineSold(BaseModel):
    order_id: UUID
    order_number: str
    order_date: date
    order_status: str
    account_uuid: UUID
    account_name: str | None
    currency: str
    quantity: Decimal
    unit_price: Decimal
    line_net: Decimal


class ProductSales(BaseModel):
    """Orders confirmed, shipped or closed that the caller may see, in one currency."""

    currency: str
    order_count: int
    quantity: Decimal
    line_net: Decimal


class Product360(BaseModel):
    """A product with its prices, its place in the catalogue, and who bought it last. Orders are null for a role that
    reads none."""

    product_id: UUID
    sku: str
    name: str
    color: str | None
    size: str | None
    standard_cost: Decimal
    list_price: Decimal | None
    currency: str
    sell_start: date
    sell_end: date | None
    is_active: bool
    version: int
    category_path: list[Category]
    prices: list[Price]
    orders: list[LineSold] | None
    sales: list[ProductSales] | None
    watermark: dict[str, Watermark]


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457): why the request was refused."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]]
