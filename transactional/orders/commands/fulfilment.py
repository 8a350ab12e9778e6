"""From a draft to a closed order: each step once, in order, and only for accounts that may be served."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from transactional.contracts.base import Command
from transactional.contracts.events import SalesOrderCancelled, SalesOrderConfirmed, SalesOrderShipped
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Invalid
from transactional.kernel.registry import command
from transactional.orders.inputs import ShortText
from transactional.orders.models import SalesOrder


class ConfirmSalesOrder(Command):
    """Accept a draft: amounts and lines are fixed from here on. Refused while the account is On Hold or Inactive."""

    id: UUID


@command(ConfirmSalesOrder, resource="orders.sales_order", target="id")
def confirm_sales_order(ctx: Context, cmd: ConfirmSalesOrder) -> SalesOrder:
    order = SalesOrder.objects.for_update(ctx, cmd.id)
    order.lifecycle.require("confirm")
    account = order.account
    if account.account_status != "Active":
        raise Conflict(
            f"Account {account.name} ({account.pk}) is {account.account_status}: order {order.order_number} cannot be "
            "confirmed. "
            + (
                "Finance releases the hold."
                if account.account_status == "On Hold"
                else "Activate the account in Contacts first."
            ),
            code="account_not_active",
        )
    if not order.lines.exists():
        raise Conflict(f"Order {order.order_number} has no lines to confirm.", code="no_lines")
    order.lifecycle.apply("confirm")
    ctx.emit(SalesOrderConfirmed.of(order))
    return order


class ShipSalesOrder(Command):
    """Record that a confirmed order has left. ``carrier_tracking_number`` goes to the lines that have none yet."""

    id: UUID
    ship_date: date | None = None
    carrier_tracking_number: ShortText | None = None


@command(ShipSalesOrder, resource="orders.sales_order", target="id")
def ship_sales_order(ctx: Context, cmd: ShipSalesOrder) -> SalesOrder:
    order = SalesOrder.objects.for_update(ctx, cmd.id)
    order.lifecycle.require("ship")
    ship_date = cmd.ship_date or max(ctx.now.date(), order.order_date)
    if ship_date < order.order_date:
        raise Invalid("ship_date", "before_order_date", f"The order is of {order.order_date}.")
    order.lifecycle.apply("ship", ship_date=ship_date)
    if cmd.carrier_tracking_number is not None:
        for line in order.lines.filter(carrier_tracking_number=None):
            line.change(carrier_tracking_number=cmd.carrier_tracking_number)
    ctx.emit(SalesOrderShipped.of(order))
    return order


class CloseSalesOrder(Command):
    """File a shipped order."""

    id: UUID


@command(CloseSalesOrder, resource="orders.sales_order", target="id")
def close_sales_order(ctx: Context, cmd: CloseSalesOrder) -> SalesOrder:
    order = SalesOrder.objects.for_update(ctx, cmd.id)
    order.lifecycle.apply("close")
    return order


class CancelSalesOrder(Command):
    """Call an order off that has not been shipped."""

    id: UUID


@command(CancelSalesOrder, resource="orders.sales_order", target="id")
def cancel_sales_order(ctx: Context, cmd: CancelSalesOrder) -> SalesOrder:
    order = SalesOrder.objects.for_update(ctx, cmd.id)
    order.lifecycle.apply("cancel")
    ctx.emit(SalesOrderCancelled.of(order))
    return order
