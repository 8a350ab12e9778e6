"""The events that services exchange, versioned. A field is added as optional; another meaning is another version."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from transactional.contracts.base import Event
from transactional.contracts.types import Address


class ScopeSnapshot(BaseModel):
    """Whose row it is, so that a replica can be scoped like its master."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    owner_id: UUID | None = None
    team_id: UUID | None = None
    territory_id: UUID | None = None


class AccountSnapshot(ScopeSnapshot):
    """The whole of an account's master data, as Contacts holds it."""

    account_uuid: UUID
    account_number: str
    name: str
    account_type: str
    status: str
    primary_contact_kind: str | None = None
    primary_contact_id: UUID | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    industry: str | None = None
    annual_revenue: Decimal | None = None
    currency: str
    parent_id: UUID | None = None


class AccountCreated(AccountSnapshot, Event):
    type = "ACCOUNT_CREATED"
    aggregate = "account"


class AccountUpdated(AccountSnapshot, Event):
    type = "ACCOUNT_UPDATED"
    aggregate = "account"


class AccountStatusChanged(Event):
    """Finance placed an account on credit hold or released it; Contacts owns the status that follows from it."""

    type = "ACCOUNT_STATUS_CHANGED"
    aggregate = "account_profile"

    account_uuid: UUID
    on_hold: bool
    reason: str | None = None


class ProductSnapshot(BaseModel):
    """A product as Inventory holds it."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    id: UUID
    sku: str
    name: str
    category_id: UUID | None = None
    is_active: bool
    list_price: Decimal | None = None
    currency: str


class ProductCreated(ProductSnapshot, Event):
    type = "PRODUCT_CREATED"
    aggregate = "product"


class ProductUpdated(ProductSnapshot, Event):
    type = "PRODUCT_UPDATED"
    aggregate = "product"


class SalesOrderSnapshot(ScopeSnapshot):
    """A sales order's header. Lines travel in the change stream; subscribers of this slice need none."""

    id: UUID
    order_number: str
    account_uuid: UUID
    status: str
    channel: str
    order_date: date
    currency: str
    sub_total: Decimal
    tax_amount: Decimal
    freight: Decimal


class SalesOrderCreated(SalesOrderSnapshot, Event):
    type = "SALES_ORDER_CREATED"
    aggregate = "sales_order"


class SalesOrderConfirmed(SalesOrderSnapshot, Event):
    type = "SALES_ORDER_CONFIRMED"
    aggregate = "sales_order"


class SalesOrderShipped(SalesOrderSnapshot, Event):
    type = "SALES_ORDER_SHIPPED"
    aggregate = "sales_order"


class SalesOrderCancelled(SalesOrderSnapshot, Event):
    type = "SALES_ORDER_CANCELLED"
    aggregate = "sales_order"


class UserChanged(Event):
    """A user as identity holds them. ``tokens_valid_from``: tokens issued before this moment are refused everywhere."""

    type = "USER_CHANGED"
    aggregate = "user_account"

    id: UUID
    username: str
    display_name: str
    email: str | None = None
    is_active: bool
    roles: list[str]
    team_id: UUID | None = None
    territory_ids: list[UUID]
    tokens_valid_from: int
    """Unix time in seconds."""


class TeamChanged(Event):
    type = "TEAM_CHANGED"
    aggregate = "team"

    id: UUID
    name: str
    parent_id: UUID | None = None


class TerritoryChanged(Event):
    type = "TERRITORY_CHANGED"
    aggregate = "territory"

    id: UUID
    name: str
    country_code: str
    group_name: str
