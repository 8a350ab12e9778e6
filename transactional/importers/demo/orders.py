"""Three years of orders: growing, busier in autumn and quiet in summer, on working days, from few customers mostly."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate
from random import Random

import polars as pl

from transactional.importers.company import ORDER, shaped
from transactional.importers.demo.catalogue import Good
from transactional.importers.demo.customers import Client
from transactional.importers.demo.words import TERRITORIES

_FILE = "demo"
_MONTHS = 36
_SEASON = (0.90, 0.92, 1.05, 1.02, 1.00, 0.95, 0.72, 0.78, 1.12, 1.22, 1.30, 1.02)
"""Relative demand from January to December."""
_GROWTH = 1.018
"""A month has this many times the orders of the month before."""
_DAYS = (1.0, 1.1, 1.05, 1.0, 0.8, 0.05, 0.02)
"""Monday to Sunday."""
_FOUR = Decimal("0.0001")
_METHODS = ("Road parcel", "Road pallet", "Collected")
_VOLUME_DISCOUNTS = ((50, Decimal("0.10"), "Volume 50 and more"), (20, Decimal("0.05"), "Volume 20 to 49"))


def orders(random: Random, clients: list[Client], goods: list[Good], count: int, until: date) -> pl.DataFrame:
    """``count`` orders in order of their dates; the last is placed on ``until``."""
    placed = sorted(_placements(random, clients, count, until), key=lambda p: (p[0], p[1].number))
    placed[-1] = (until, placed[-1][1])
    cumulated = list(accumulate(good.weight for good in goods))
    rows = [_order(random, i + 1, day, client, goods, cumulated, until) for i, (day, client) in enumerate(placed)]
    return shaped(pl.DataFrame(rows, infer_schema_length=None), ORDER)


def _placements(random: Random, clients: list[Client], count: int, until: date) -> list[tuple[date, Client]]:
    months = [_month_before(until, _MONTHS - 1 - i) for i in range(_MONTHS)]
    choices = []
    weights = []
    for client in clients:
        for i, month in enumerate(months):
            if client.pace and month >= client.first.replace(day=1) and month <= client.last:
                choices.append((client, month))
                weights.append(client.pace * _SEASON[month.month - 1] * _GROWTH**i)
    drawn = random.choices(choices, weights, k=count)
    return [(_day(random, month, client, until), client) for client, month in drawn]


def _month_before(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def _day(random: Random, month: date, client: Client, until: date) -> date:
    following = (month + timedelta(days=31)).replace(day=1)
    first = max(month, client.first)
    last = min(following - timedelta(days=1), until)
    days = [first + timedelta(days=i) for i in range(max(1, (last - first).days + 1))]
    return random.choices(days, [_DAYS[day.weekday()] for day in days])[0]


def _order(
    random: Random, number: int, day: date, client: Client, goods: list[Good], cumulated: list[int], until: date
) -> dict[str, object]:
    online = random.random() < (0.25 if client.basket > 1 else 0.6)
    wanted = max(1, min(12, round(random.gammavariate(2.0, 1.3))))
    picked = dict.fromkeys(random.choices(range(len(goods)), cum_weights=cumulated, k=wanted))
    lines = [_line(random, place + 1, goods[i], day, client) for place, i in enumerate(picked)]
    net = sum((line["unit_price"] * line["quantity"] * (1 - line["discount"]) for line in lines), Decimal(0))  # type: ignore[operator]
    sub_total = net.quantize(_FOUR, ROUND_HALF_UP)
    tax = (sub_total * TERRITORIES[client.territory][4] / 100).quantize(_FOUR, ROUND_HALF_UP)
    freight = (Decimal("4.5") + sub_total * Decimal("0.012")).quantize(_FOUR, ROUND_HALF_UP)
    status, shipped = _fate(random, day, until)
    return {
        "ref": f"order:{number}",
        "file": _FILE,
        "row": number,
        "order_number": f"LF{number:06d}",
        "account_ref": client.ref,
        "status": status,
        "channel": "online" if online else "direct",
        "order_date": day,
        "due_date": day + timedelta(days=14),
        "ship_date": shipped,
        "currency": client.currency,
        "sub_total": sub_total,
        "tax_amount": tax,
        "freight": freight,
        "billing_address": client.billing,
        "shipping_address": client.shipping,
        "shipping_method": random.choice(_METHODS),
        "purchase_order_number": None if online else f"PO{random.randrange(10**7):07d}",
        "lines": lines,
        **client.scope,
    }


def _line(random: Random, place: int, good: Good, day: date, client: Client) -> dict[str, object]:
    price = good.price_on(day)
    typical = 60 / float(price) ** 0.6 * client.basket
    quantity = max(1, int(random.expovariate(1 / typical)))
    discount, offer = next(
        ((share, name) for least, share, name in _VOLUME_DISCOUNTS if quantity >= least), (Decimal(0), None)
    )
    return {
        "line_no": place,
        "product_ref": good.ref,
        "quantity": quantity,
        "unit_price": price,
        "discount": discount,
        "special_offer": offer,
        "carrier_tracking_number": None,
    }


def _fate(random: Random, day: date, until: date) -> tuple[str, date | None]:
    """Status and day of shipment: old orders are done, a few were cancelled, the last days' are on their way."""
    age = (until - day).days
    if random.random() < 0.02:
        return "cancelled", None
    if age <= 4:
        return ("draft" if random.random() < 0.2 else "confirmed"), None
    shipped = day + timedelta(days=random.randint(1, 4))
    return ("closed" if age > 45 else "shipped"), shipped
