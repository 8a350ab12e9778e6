"""Drafts: an order is written, changed line by line, and still binds nobody.

Each command writes the header before the lines: the database compares lines with their header as they arrive.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from transactional.contracts.base import UNSET, Command
from transactional.contracts.events import SalesOrderCreated
from transactional.contracts.types import Address, Currency, Custom, NonNegativeAmount, Quantity, Rate, Text
from transactional.kernel.context import Context
from transactional.kernel.money import MAX_AMOUNT
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import command
from transactional.orders import queries
from transactional.orders.amounts import sub_total
from transactional.orders.inputs import MAX_LINES, Channel, LineNumber, ShortText
from transactional.orders.models import AccountProfile, ProductReplica, SalesOrder, SalesOrderLine


class NewLine(BaseModel):
    """A line to be. Without ``unit_price`` the list price counts, if it is in the order's currency."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    product_id: UUID
    quantity: Quantity
    unit_price: NonNegativeAmount | None = None
    discount: Rate = Decimal(0)
    special_offer: Text | None = None


class CreateSalesOrder(Command):
    """Write a draft order. Addresses and shipping method are the account's unless given; the subtotal is computed."""

    account_uuid: UUID
    channel: Channel = "direct"
    order_date: date | None = None
    due_date: date | None = None
    currency: Currency = "USD"
    tax_amount: NonNegativeAmount = Decimal(0)
    freight: NonNegativeAmount = Decimal(0)
    billing_address: Address | None = None
    shipping_address: Address | None = None
    shipping_method: Text | None = None
    purchase_order_number: ShortText | None = None
    salesperson_id: UUID | None = None
    lines: list[NewLine] = Field(default=[], max_length=MAX_LINES)
    owner_id: UUID | None = None
    team_id: UUID | None = None
    territory_id: UUID | None = None
    custom: Custom = {}


@command(CreateSalesOrder, resource="orders.sales_order")
def create_sales_order(ctx: Context, cmd: CreateSalesOrder) -> SalesOrder:
    account = queries.referred_account(ctx, cmd.account_uuid)
    _check_tax(account, cmd.tax_amount)
    known = queries.products(line.product_id for line in cmd.lines)
    lines = [_line(f"lines.{n}.", line, known, cmd.currency, n + 1) for n, line in enumerate(cmd.lines)]
    (number,) = queries.order_numbers(1)
    order = SalesOrder(
        order_number=number,
        account=account,
        channel=cmd.channel,
        order_date=cmd.order_date or ctx.now.date(),
        due_date=cmd.due_date,
        currency=cmd.currency,
        sub_total=_total("lines", [(line.quantity, line.unit_price, line.discount) for line in lines]),
        tax_amount=cmd.tax_amount,
        freight=cmd.freight,
        billing_address=cmd.billing_address.model_dump() if cmd.billing_address else account.billing_address,
        shipping_address=cmd.shipping_address.model_dump() if cmd.shipping_address else account.shipping_address,
        shipping_method=cmd.shipping_method or account.default_shipping_method,
        purchase_order_number=cmd.purchase_order_number,
        salesperson_id=cmd.salesperson_id,
        custom=cmd.custom,
        **_scope(ctx, cmd, account),
    )
    order.save()
    for line in lines:
        line.order = order
    SalesOrderLine.objects.bulk_create(lines)
    ctx.emit(SalesOrderCreated.of(order))
    return order


def _scope(ctx: Context, cmd: CreateSalesOrder, account: AccountProfile) -> dict[str, UUID | None]:
    """The order's scope: what was asked for; else the actor owns it, in the account's team and territory."""
    scope = ctx.scope_values(cmd)
    for name in ("team_id", "territory_id"):
        if name not in cmd.model_fields_set and getattr(account, name) is not None:
            scope[name] = getattr(account, name)
    return scope


class UpdateSalesOrder(Command):
    """Change a draft's header. Fields that are left out stay; of ``custom``, keys left out stay and null removes."""

    id: UUID
    channel: Channel = UNSET
    order_date: date = UNSET
    due_date: date | None = UNSET
    tax_amount: NonNegativeAmount = UNSET
    freight: NonNegativeAmount = UNSET
    billing_address: Address | None = UNSET
    shipping_address: Address | None = UNSET
    shipping_method: Text | None = UNSET
    purchase_order_number: ShortText | None = UNSET
    salesperson_id: UUID | None = UNSET
    custom: Custom = UNSET


@command(UpdateSalesOrder, resource="orders.sales_order", target="id")
def update_sales_order(ctx: Context, cmd: UpdateSalesOrder) -> SalesOrder:
    order = _draft(ctx, cmd.id, "update")
    values = cmd.given()
    if "tax_amount" in values:
        _check_tax(order.account, values["tax_amount"])
    for field in values.keys() & {"billing_address", "shipping_address"}:
        values[field] = values[field].model_dump() if values[field] is not None else None
    if "custom" in values:
        merged = order.custom | values["custom"]
        values["custom"] = {name: value for name, value in merged.items() if value is not None}
    order.change(**values)
    return order


class AddLine(Command):
    """Add a line to a draft."""

    id: UUID
    product_id: UUID
    quantity: Quantity
    unit_price: NonNegativeAmount | None = None
    discount: Rate = Decimal(0)
    special_offer: Text | None = None


@command(AddLine, resource="orders.sales_order", target="id")
def add_line(ctx: Context, cmd: AddLine) -> SalesOrder:
    order = _draft(ctx, cmd.id, "add_line")
    amounts = queries.amounts(order)
    if len(amounts) >= MAX_LINES:
        raise Invalid("id", "too_many_lines", f"An order has at most {MAX_LINES} lines.")
    new = NewLine(**cmd.model_dump(exclude={"id"}))
    line = _line("", new, queries.products([cmd.product_id]), order.currency, max(amounts, default=0) + 1)
    amounts[line.line_no] = (line.quantity, line.unit_price, line.discount)
    _rewrite_total(order, amounts)
    line.order = order
    line.save()
    return order


class UpdateLine(Command):
    """Change a line of a draft. Fields that are left out stay."""

    id: UUID
    line_no: LineNumber
    quantity: Quantity = UNSET
    unit_price: NonNegativeAmount = UNSET
    discount: Rate = UNSET
    special_offer: Text | None = UNSET


@command(UpdateLine, resource="orders.sales_order", target="id")
def update_line(ctx: Context, cmd: UpdateLine) -> SalesOrder:
    order = _draft(ctx, cmd.id, "update_line")
    line = _existing_line(order, cmd.line_no)
    values = cmd.given("line_no")
    changed = {name: value for name, value in values.items() if getattr(line, name) != value}
    if not changed:
        return order
    for name, value in changed.items():
        setattr(line, name, value)
    amounts = queries.amounts(order) | {line.line_no: (line.quantity, line.unit_price, line.discount)}
    _rewrite_total(order, amounts)
    line.save(update_fields=list(changed))
    return order


class RemoveLine(Command):
    """Take a line off a draft; the others keep their numbers."""

    id: UUID
    line_no: LineNumber


@command(RemoveLine, resource="orders.sales_order", target="id")
def remove_line(ctx: Context, cmd: RemoveLine) -> SalesOrder:
    order = _draft(ctx, cmd.id, "remove_line")
    line = _existing_line(order, cmd.line_no)
    amounts = queries.amounts(order)
    del amounts[line.line_no]
    _rewrite_total(order, amounts)
    line.delete()
    return order


def _draft(ctx: Context, order_id: UUID, verb: str) -> SalesOrder:
    order: SalesOrder = SalesOrder.objects.for_update(ctx, order_id)
    order.lifecycle.require(verb)
    return order


def _existing_line(order: SalesOrder, line_no: int) -> SalesOrderLine:
    line = order.lines.filter(line_no=line_no).first()
    if line is None:
        raise Invalid("line_no", "unknown", f"Order {order.order_number} has no line {line_no}.")
    return line


def _rewrite_total(order: SalesOrder, amounts: dict[int, tuple[Decimal, Decimal, Decimal]]) -> None:
    """Sets the subtotal and raises the order's version, also where the sum stays the same: the order has changed."""
    order.sub_total = _total("quantity", amounts.values())
    order.save(update_fields=["sub_total"])


def _total(field: str, amounts: Iterable[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    """The subtotal; Invalid names ``field`` if it is more than an order can hold."""
    total = sub_total(amounts)
    if total > MAX_AMOUNT:
        raise Invalid(field, "too_large", f"The lines come to {total}; an order holds {MAX_AMOUNT} at most.")
    return total


def _line(prefix: str, line: NewLine, known: dict[UUID, ProductReplica], currency: str, line_no: int) -> SalesOrderLine:
    """The row for ``line``; Invalid names the field below ``prefix`` where the product cannot be sold like that."""
    product = known.get(line.product_id)
    if product is None:
        raise Invalid(f"{prefix}product_id", "unknown", f"Orders knows no product {line.product_id}.")
    if not product.is_active:
        raise Invalid(f"{prefix}product_id", "discontinued", f"{product.sku} {product.name} is no longer sold.")
    price = line.unit_price
    if price is None:
        if product.list_price is None or product.currency != currency:
            raise Invalid(f"{prefix}unit_price", "missing", f"{product.sku} has no list price in {currency}: give one.")
        price = product.list_price
    return SalesOrderLine(
        line_no=line_no,
        product=product,
        sku=product.sku,
        product_name=product.name,
        quantity=line.quantity,
        unit_price=price,
        discount=line.discount,
        special_offer=line.special_offer,
    )


def _check_tax(account: AccountProfile, tax_amount: Decimal) -> None:
    if tax_amount and not account.is_taxable:
        raise Invalid("tax_amount", "not_taxable", f"{account.name} is not taxable: its orders carry no tax.")
