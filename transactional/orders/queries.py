"""Local reads that commands need: accounts and products an input refers to, order numbers, an order's amounts."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from django.db import connections

from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.orders.models import AccountProfile, ProductReplica, SalesOrder


def order_numbers(count: int) -> list[str]:
    """``SO-000001`` and on, from a sequence: a command that fails leaves a gap, which is allowed."""
    if not count:
        return []
    with connections["orders"].cursor() as cursor:
        cursor.execute("select nextval('sales_order_number_seq') from generate_series(1, %s)", [count])
        return [f"SO-{number:06d}" for (number,) in cursor.fetchall()]


def referred_account(ctx: Context, account_uuid: UUID) -> AccountProfile:
    """The account an order is for; Invalid if there is none that the actor may see."""
    account = AccountProfile.objects.visible_to(ctx).filter(pk=account_uuid).first()
    if account is None:
        raise Invalid("account_uuid", "unknown", f"Orders knows no account {account_uuid}.")
    return account


def products(ids: Iterable[UUID]) -> dict[UUID, ProductReplica]:
    """The known ones of these products, by id."""
    return {product.product_id: product for product in ProductReplica.objects.filter(pk__in=set(ids))}


def amounts(order: SalesOrder) -> dict[int, tuple[Decimal, Decimal, Decimal]]:
    """Line number → ``(quantity, unit_price, discount)`` of the order as it stands."""
    return {
        line_no: (quantity, price, discount)
        for line_no, quantity, price, discount in order.lines.values_list(
            "line_no", "quantity", "unit_price", "discount"
        )
    }
