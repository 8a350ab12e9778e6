"""Prices: one a day, product and currency. The open one ends the day before its successor begins."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from transactional.contracts.base import Command
from transactional.contracts.events import ProductUpdated
from transactional.contracts.types import Currency, NonNegativeAmount
from transactional.inventory.commands.products import covers, overlaps
from transactional.inventory.models import Product, ProductPrice
from transactional.kernel.context import Context
from transactional.kernel.problems import Invalid
from transactional.kernel.registry import command


class SetPrice(Command):
    """Set the price from a day on (today unless given), until ``valid_to`` or further notice.

    The open price before it ends the day before; a period that overlaps with any other price is refused. The product's
    list price follows at once where the period covers today.
    """

    id: UUID
    amount: NonNegativeAmount
    currency: Currency | None = None
    valid_from: date | None = None
    valid_to: date | None = None


@command(SetPrice, resource="inventory.product", target="id")
def set_price(ctx: Context, cmd: SetPrice) -> Product:
    product = Product.objects.for_update(ctx, cmd.id)
    currency = cmd.currency or product.currency
    today = ctx.now.date()
    first, last = cmd.valid_from or today, cmd.valid_to
    if last is not None and last < first:
        raise Invalid("valid_to", "before_valid_from", f"{last} comes before {first}.")
    for price in ProductPrice.objects.filter(product=product, currency=currency):
        if not overlaps((first, last), (price.valid_from, price.valid_to)):
            continue
        if price.valid_to is not None or price.valid_from >= first:
            until = price.valid_to or "further notice"
            raise Invalid(
                "valid_from",
                "overlap",
                f"{product.sku} costs {price.amount} {currency} from {price.valid_from} until {until}.",
            )
        price.change(valid_to=first - timedelta(days=1))
    ProductPrice(product=product, amount=cmd.amount, currency=currency, valid_from=first, valid_to=last).save()
    if currency == product.currency and covers(first, last, today) and product.change(list_price=cmd.amount):
        ctx.emit(ProductUpdated.of(product))
    return product


class RefreshListPrice(Command):
    """Bring a product's list price in line with the price period in force today."""

    id: UUID


@command(RefreshListPrice, resource="inventory.product", target="id")
def refresh_list_price(ctx: Context, cmd: RefreshListPrice) -> Product:
    product = Product.objects.for_update(ctx, cmd.id)
    today = ctx.now.date()
    in_force = (
        price.amount
        for price in ProductPrice.objects.filter(product=product, currency=product.currency)
        if covers(price.valid_from, price.valid_to, today)
    )
    if product.change(list_price=next(in_force, None)):
        ctx.emit(ProductUpdated.of(product))
    return product
