"""What the demo company sells: five categories, and prices that rise every January."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import polars as pl

from transactional.importers.company import CATEGORY, PRODUCT, shaped
from transactional.importers.demo.words import CATALOGUE, VARIANTS

_FILE = "demo"
_YEARLY_RISE = Decimal("1.035")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Good:
    """A product. ``prices`` are (first day, amount in USD), oldest first; ``weight`` says how often it is bought."""

    ref: str
    sku: str
    name: str
    category_ref: str
    color: str
    cost: Decimal
    prices: tuple[tuple[date, Decimal], ...]
    weight: int

    def price_on(self, day: date) -> Decimal:
        return next(amount for first, amount in reversed(self.prices) if first <= day)


def goods(until: date) -> list[Good]:
    """Every product, on sale since four years before ``until``."""
    made = []
    start = date(until.year - 4, 1, 1)
    for category, subcategories in CATALOGUE.items():
        for subcategory, products in subcategories:
            for number, (name, cost, price, weight) in enumerate(products, 1):
                for variant, code, color, factor in VARIANTS:
                    scale = Decimal(str(factor))
                    sku = f"{category[:3].upper()}-{subcategory[:3].upper()}{number}-{code}"
                    first = (price * scale - Decimal("0.05")).quantize(_CENT, ROUND_HALF_UP)
                    prices = tuple(
                        (date(start.year + year, 1, 1), (first * _YEARLY_RISE**year).quantize(_CENT, ROUND_HALF_UP))
                        for year in range(until.year - start.year + 1)
                    )
                    made.append(
                        Good(
                            ref=f"product:{sku}",
                            sku=sku,
                            name=f"{name} {variant}",
                            category_ref=_ref(category, subcategory),
                            color=color,
                            cost=(cost * scale).quantize(_CENT, ROUND_HALF_UP),
                            prices=prices,
                            weight=weight * (3 if variant == "Standard" else 1),
                        )
                    )
    return made


def categories() -> pl.DataFrame:
    pairs: list[tuple[str, str, str | None]] = [(_ref(name), name, None) for name in CATALOGUE]
    pairs += [(_ref(name, sub), sub, _ref(name)) for name, subs in CATALOGUE.items() for sub, _ in subs]
    rows = [
        {"ref": ref, "file": _FILE, "row": i + 1, "name": name, "parent_ref": parent}
        for i, (ref, name, parent) in enumerate(pairs)
    ]
    return shaped(pl.DataFrame(rows), CATEGORY)


def products(goods: list[Good]) -> pl.DataFrame:
    rows = [
        {
            "ref": good.ref,
            "file": _FILE,
            "row": i + 1,
            "sku": good.sku,
            "name": good.name,
            "category_ref": good.category_ref,
            "color": good.color,
            "standard_cost": good.cost,
            "list_price": good.prices[-1][1],
            "currency": "USD",
            "sell_start": good.prices[0][0],
            "prices": _intervals(good),
        }
        for i, good in enumerate(goods)
    ]
    return shaped(pl.DataFrame(rows), PRODUCT)


def _ref(category: str, subcategory: str | None = None) -> str:
    return "category:" + "/".join(part.lower().replace(" ", "-") for part in (category, subcategory) if part)


def _intervals(good: Good) -> list[dict[str, object]]:
    last_days = [first - timedelta(days=1) for first, _ in good.prices[1:]]
    return [
        {"amount": amount, "currency": "USD", "valid_from": first, "valid_to": last}
        for (first, amount), last in zip(good.prices, [*last_days, None], strict=True)
    ]
