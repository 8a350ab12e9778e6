"""Prices: one a day, product and currency. The open one ends the day before its successor begins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from pydantic import BaseModel, Field

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
    _follow(ctx, [product])
    return product


class RefreshListPrices(Command):
    """Bring list prices in line where the price in force has become another one since the end of day ``since``.

    At most ``limit`` products at once; ``more`` in the answer says that there may be others.
    """

    since: date
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class RefreshedListPrices(BaseModel):
    """How many products changed, and whether to call again."""

    changed: int
    more: bool


@command(RefreshListPrices, resource="inventory.product")
def refresh_list_prices(ctx: Context, cmd: RefreshListPrices) -> RefreshedListPrices:
    today = ctx.now.date()
    begins = Q(valid_from__gt=cmd.since, valid_from__lte=today)
    ends = Q(valid_to__gte=cmd.since, valid_to__lt=today)
    turned = ProductPrice.objects.filter(begins | ends, currency=F("product__currency")).values("product_id")
    in_force = _in_force(today).filter(product=OuterRef("pk"), currency=OuterRef("currency")).values("amount")
    due = (
        Product.objects.visible_to(ctx)
        .filter(pk__in=turned)
        .annotate(in_force=Subquery(in_force[:1]))
        .filter(
            Q(list_price__lt=F("in_force"))
            | Q(list_price__gt=F("in_force"))
            | Q(list_price__isnull=True, in_force__isnull=False)
            | Q(list_price__isnull=False, in_force__isnull=True)
        )
        .order_by("pk")
    )
    products = list(due.select_for_update(of=("self",))[: cmd.limit])
    return RefreshedListPrices(changed=_follow(ctx, products), more=len(products) == cmd.limit)


def _follow(ctx: Context, products: Sequence[Product]) -> int:
    """Gives each product, which is locked, the price in force; how many changed.

    The prices are read after the lock: whoever sets one holds it until they have committed.
    """
    prices = _in_force(ctx.now.date()).filter(product__in=products)
    amounts = {(price.product_id, price.currency): price.amount for price in prices}
    changed = [p for p in products if p.change(list_price=amounts.get((p.pk, p.currency)))]
    for product in changed:
        ctx.emit(ProductUpdated.of(product))
    return len(changed)


def _in_force(day: date) -> QuerySet[ProductPrice]:
    return ProductPrice.objects.filter(Q(valid_to__isnull=True) | Q(valid_to__gte=day), valid_from__lte=day)
