"""What people read of orders and of the replicas behind them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from transactional.contracts.types import Address
from transactional.kernel.registry import Resource, resource
from transactional.orders.models import AccountProfile, ProductReplica, SalesOrder


@resource(AccountProfile, path="account-profiles", filters=("account_status",))
class AccountProfileResource(Resource):
    """An account as Orders sees it: the replica of its master data, how to ship to it and whether to tax it."""

    account_uuid: UUID
    name: str
    account_type: str
    account_status: str
    billing_address: Address | None
    shipping_address: Address | None
    replica_version: int
    default_shipping_method: str | None
    is_taxable: bool
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


@resource(ProductReplica, path="products", filters=("sku", "is_active"))
class ProductReplicaResource(Resource):
    """A product as Orders sees it: the replica of what Inventory sells."""

    product_id: UUID
    sku: str
    name: str
    is_active: bool
    list_price: Decimal | None
    currency: str
    replica_version: int
    version: int
    created_at: datetime
    updated_at: datetime


class SalesOrderLineView(BaseModel):
    """A line; ``net`` is quantity × unit price × (1 − discount), unrounded."""

    model_config = ConfigDict(from_attributes=True)

    line_no: int
    product_id: UUID
    sku: str
    product_name: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    net: Decimal
    special_offer: str | None
    carrier_tracking_number: str | None


@resource(
    SalesOrder,
    path="sales-orders",
    filters=("account_uuid", "status", "channel", "order_number", "order_date"),
    prefetch=("lines",),
)
class SalesOrderResource(Resource):
    """A sales order with its lines. ``total_due`` is subtotal plus tax and freight."""

    id: UUID
    order_number: str
    account_uuid: UUID
    status: Literal["draft", "confirmed", "shipped", "closed", "cancelled"]
    channel: Literal["online", "reseller", "direct"]
    order_date: date
    due_date: date | None
    ship_date: date | None
    currency: str
    sub_total: Decimal
    tax_amount: Decimal
    freight: Decimal
    total_due: Decimal
    billing_address: Address | None
    shipping_address: Address | None
    shipping_method: str | None
    purchase_order_number: str | None
    salesperson_id: UUID | None
    lines: list[SalesOrderLineView]
    owner_id: UUID | None
    team_id: UUID | None
    territory_id: UUID | None
    custom: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
