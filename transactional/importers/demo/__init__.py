"""Larkfield Supply, a company that does not exist: it sells workshop and office goods to two thousand others.

The same seed and reference date give the same company, byte for byte; nothing is read from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random

from transactional.importers.company import Company
from transactional.importers.demo import catalogue, customers, orders, staff

SOURCE = "demo"
FILE = "demo"
REFERENCE_DATE = date(2025, 12, 31)


@dataclass(frozen=True)
class Size:
    accounts: int = 2_000
    orders: int = 20_000


def build(*, until: date = REFERENCE_DATE, seed: int = 20_251_231, size: Size | None = None) -> Company:
    """The company with three years of orders, the last of them on ``until``."""
    size = size or Size()
    territories = staff.territories()
    teams, users = staff.teams(), staff.users(Random(seed))
    goods = catalogue.goods(until)
    clients = customers.clients(Random(seed + 1), size.accounts, until)
    return Company(
        source=SOURCE,
        territories=territories,
        teams=teams,
        users=users,
        categories=catalogue.categories(),
        products=catalogue.products(goods),
        accounts=customers.accounts(clients),
        contacts=customers.contacts(Random(seed + 2), clients),
        orders=orders.orders(Random(seed + 3), clients, goods, size.orders, until),
    )
