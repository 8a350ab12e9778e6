"""Products: create, change, withdraw from sale."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from transactional.contracts.base import UNSET, Command
from transactional.contracts.events import ProductCreated, ProductUpdated
from transactional.contracts.types import Currency, Custom, NonNegativeAmount, Text
from transactional.inventory.commands.categories import check_category
from transactional.inventory.models import Product, ProductPrice
from transactional.kernel.context import Context
from transactional.kernel.problems import Conflict, Invalid
from transactional.kernel.registry import command

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class PricePeriod(BaseModel):
    """A price from the first to the last day, both included; without ``valid_to`` until further notice."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    amount: NonNegativeAmount
    currency: Currency | None = None
    valid_from: date
    valid_to: date | None = None


class CreateProduct(Command):
    """Create a product.

    ``list_price`` without ``prices`` holds from ``sell_start`` (today unless given) until further notice.
    With ``prices`` the list price is the one in force today, unless given.
    """

    sku: ShortText
    name: Text
    category_id: UUID | None = None
    color: ShortText | None = None
    size: ShortText | None = None
    standard_cost: NonNegativeAmount = Decimal(0)
    list_price: NonNegativeAmount | None = None
    currency: Currency = "USD"
    sell_start: date | None = None
    sell_end: date | None = None
    prices: list[PricePeriod] = Field(default=[], max_length=1000)
    custom: Custom = {}


@command(CreateProduct, resource="inventory.product")
def create_product(ctx: Context, cmd: CreateProduct) -> Product:
    check_category(cmd.category_id, "category_id")
    check_periods(cmd)
    if Product.objects.filter(sku=cmd.sku).exists():
        raise Conflict(f"There is a product with SKU {cmd.sku}.", code="sku_taken")
    product = new_product(ctx, cmd)
    product.save()
    for price in new_prices(product, cmd):
        price.save()
    ctx.emit(ProductCreated.of(product))
    return product


def new_product(ctx: Context, cmd: CreateProduct) -> Product:
    """The row that ``cmd`` asks for, not saved yet. A product whose last day has passed is not active."""
    today = ctx.now.date()
    in_force = (
        period.amount
        for period in cmd.prices
        if (period.currency or cmd.currency) == cmd.currency and covers(period.valid_from, period.valid_to, today)
    )
    return Product(
        sku=cmd.sku,
        name=cmd.name,
        category_id=cmd.category_id,
        color=cmd.color,
        size=cmd.size,
        standard_cost=cmd.standard_cost,
        list_price=cmd.list_price if cmd.list_price is not None else next(in_force, None),
        currency=cmd.currency,
        sell_start=cmd.sell_start or today,
        sell_end=cmd.sell_end,
        is_active=cmd.sell_end is None or cmd.sell_end >= today,
        custom=cmd.custom,
    )


def new_prices(product: Product, cmd: CreateProduct) -> list[ProductPrice]:
    """The price periods that ``cmd`` asks for, not saved yet."""
    if not cmd.prices and product.list_price is not None:
        return [
            ProductPrice(
                product_id=product.id,
                amount=product.list_price,
                currency=product.currency,
                valid_from=product.sell_start,
            )
        ]
    return [
        ProductPrice(
            product_id=product.id,
            amount=period.amount,
            currency=period.currency or product.currency,
            valid_from=period.valid_from,
            valid_to=period.valid_to,
        )
        for period in cmd.prices
    ]


def check_periods(cmd: CreateProduct) -> None:
    """Invalid names the first period that ends before it begins or overlaps with another one, or a bad sales period."""
    if cmd.sell_start is not None and cmd.sell_end is not None and cmd.sell_end < cmd.sell_start:
        raise Invalid("sell_end", "before_sell_start", f"{cmd.sell_end} comes before {cmd.sell_start}.")
    for number, period in enumerate(cmd.prices):
        if period.valid_to is not None and period.valid_to < period.valid_from:
            raise Invalid(f"prices.{number}.valid_to", "before_valid_from", "A price cannot end before it begins.")
        if any(_overlap(cmd, period, other) for other in cmd.prices[:number]):
            raise Invalid(f"prices.{number}.valid_from", "overlap", "A product has one price a day and currency.")


def _overlap(cmd: CreateProduct, one: PricePeriod, other: PricePeriod) -> bool:
    same = (one.currency or cmd.currency) == (other.currency or cmd.currency)
    return same and overlaps((one.valid_from, one.valid_to), (other.valid_from, other.valid_to))


def covers(first: date, last: date | None, day: date) -> bool:
    return first <= day and (last is None or day <= last)


def overlaps(one: tuple[date, date | None], other: tuple[date, date | None]) -> bool:
    """Whether two periods (first day, last day or None) share a day."""
    return (other[1] is None or one[0] <= other[1]) and (one[1] is None or other[0] <= one[1])


class UpdateProduct(Command):
    """Change a product. Fields that are left out stay; of ``custom``, keys left out stay and null removes.

    Prices have a command of their own.
    """

    id: UUID
    sku: ShortText = UNSET
    name: Text = UNSET
    category_id: UUID | None = UNSET
    color: ShortText | None = UNSET
    size: ShortText | None = UNSET
    standard_cost: NonNegativeAmount = UNSET
    custom: Custom = UNSET


@command(UpdateProduct, resource="inventory.product", target="id")
def update_product(ctx: Context, cmd: UpdateProduct) -> Product:
    product = Product.objects.for_update(ctx, cmd.id)
    values = cmd.given()
    check_category(values.get("category_id"), "category_id")
    if "sku" in values and Product.objects.filter(sku=values["sku"]).exclude(pk=product.pk).exists():
        raise Conflict(f"There is a product with SKU {values['sku']}.", code="sku_taken")
    if "custom" in values:
        merged = product.custom | values["custom"]
        values["custom"] = {name: value for name, value in merged.items() if value is not None}
    if product.change(**values):
        ctx.emit(ProductUpdated.of(product))
    return product


class DiscontinueProduct(Command):
    """Withdraw a product from sale: no new order line takes it. ``sell_end`` is its last day, today unless given."""

    id: UUID
    sell_end: date | None = None


@command(DiscontinueProduct, resource="inventory.product", target="id", available=lambda product: product.is_active)
def discontinue_product(ctx: Context, cmd: DiscontinueProduct) -> Product:
    product = Product.objects.for_update(ctx, cmd.id)
    if not product.is_active:
        raise Conflict(f"Product {product.sku} is withdrawn since {product.sell_end}.", code="discontinued")
    last_day = cmd.sell_end or max(ctx.now.date(), product.sell_start)
    if last_day < product.sell_start:
        raise Invalid("sell_end", "before_sell_start", f"{product.sku} is sold from {product.sell_start} on.")
    product.change(is_active=False, sell_end=last_day)
    ctx.emit(ProductUpdated.of(product))
    return product
