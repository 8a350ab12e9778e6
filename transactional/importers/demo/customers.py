"""Whom the demo company sells to: groups with subsidiaries, whales, steady buyers, churners and prospects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import polars as pl

from transactional.importers.company import ACCOUNT, CONTACT, shaped
from transactional.importers.demo import staff
from transactional.importers.demo.words import (
    COMPANY_FIRST,
    COMPANY_LAST,
    FAMILY_NAMES,
    GIVEN_NAMES,
    ROLES_AT_CUSTOMERS,
    STREETS,
    TERRITORIES,
)

_FILE = "demo"
_YEARS = 3
_TERRITORY_WEIGHTS = (20, 16, 17, 9, 12, 12, 6, 8)

Address = dict[str, str | None]


@dataclass(slots=True)
class Client:
    """One customer. ``pace`` is its relative number of orders, ``basket`` the relative size of one;
    it buys from ``first`` to ``last``. ``territory`` is an index into the territories.
    """

    number: int
    name: str
    kind: str
    industry: str
    territory: int
    owner: str
    revenue: Decimal
    billing: Address
    shipping: Address
    parent: Client | None
    pace: float
    basket: float
    first: date
    last: date

    @property
    def ref(self) -> str:
        return f"account:{self.number}"

    @property
    def currency(self) -> str:
        return TERRITORIES[self.territory][5]

    @property
    def scope(self) -> dict[str, str]:
        return {
            "owner_ref": self.owner,
            "team_ref": staff.team_ref(TERRITORIES[self.territory][2]),
            "territory_ref": staff.territory_ref(self.territory),
        }


def clients(random: Random, count: int, until: date) -> list[Client]:
    """``count`` customers, parents before their subsidiaries.

    One in sixteen leads a group of two to six; one in fifty is a whale; a third of the others stops buying at some
    time; one in fifteen is a prospect that never bought.
    """
    made: list[Client] = []
    names: set[str] = set()
    while len(made) < count:
        head = _client(random, len(made) + 1, until, names, None)
        made.append(head)
        if random.random() < 1 / 16:
            for _ in range(min(random.randint(2, 6), count - len(made))):
                made.append(_client(random, len(made) + 1, until, names, head))
    return made


def accounts(clients: list[Client]) -> pl.DataFrame:
    rows = [
        {
            "ref": client.ref,
            "file": _FILE,
            "row": client.number,
            "name": client.name,
            "account_type": client.kind,
            "industry": client.industry,
            "annual_revenue": client.revenue,
            "currency": client.currency,
            "billing_address": client.billing,
            "shipping_address": client.shipping,
            "parent_ref": client.parent.ref if client.parent else None,
            **client.scope,
        }
        for client in clients
    ]
    return shaped(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)


def contacts(random: Random, clients: list[Client]) -> pl.DataFrame:
    """One to three persons a customer, the first its primary contact; a group's first also speaks for those below."""
    rows: list[dict[str, object]] = []
    below: dict[int, list[Client]] = {}
    for client in clients:
        if client.parent:
            below.setdefault(client.parent.number, []).append(client)
    for client in clients:
        for place in range(random.choices((1, 2, 3), (5, 3, 2))[0]):
            given, family = random.choice(GIVEN_NAMES), random.choice(FAMILY_NAMES)
            role = random.choice(ROLES_AT_CUSTOMERS)
            number = len(rows) + 1
            memberships = [{"account_ref": client.ref, "role": role, "primary": place == 0}]
            if place == 0:
                memberships += [
                    {"account_ref": other.ref, "role": "Group contact", "primary": False}
                    for other in below.get(client.number, ())
                ]
            rows.append(
                {
                    "ref": f"contact:{number}",
                    "file": _FILE,
                    "row": number,
                    "first_name": given,
                    "last_name": family,
                    "job_title": role,
                    "email": f"{_ascii(given)}.{_ascii(family)}{number}@{_domain(client.name)}",
                    "phone": f"{TERRITORIES[client.territory][3]} {number % 10_000:04d}",
                    "account_ref": client.ref,
                    "memberships": memberships,
                    **client.scope,
                }
            )
    return shaped(pl.DataFrame(rows, infer_schema_length=None), CONTACT)


def _client(random: Random, number: int, until: date, names: set[str], parent: Client | None) -> Client:
    industry = parent.industry if parent else random.choice(tuple(COMPANY_LAST))
    near = parent is not None and random.random() < 0.7
    weights = _TERRITORY_WEIGHTS
    territory = parent.territory if parent and near else random.choices(range(len(TERRITORIES)), weights)[0]
    billing = _address(random, territory)
    whale = random.random() < 1 / 50
    kind = random.choices(("Customer", "Prospect", "Partner", "Vendor"), (90, 6, 2, 2))[0] if not whale else "Customer"
    beginning = until - timedelta(days=365 * _YEARS)
    first = beginning + timedelta(days=int(365 * _YEARS * 0.85 * max(0.0, random.triangular(-0.9, 1.0, -0.2))))
    churns = not whale and random.random() < 1 / 3
    last = first + timedelta(days=60 + int((until - first).days * random.random())) if churns else until
    return Client(
        number=number,
        name=_name(random, industry, names, parent, str(billing["city"])),
        kind=kind,
        industry=industry,
        territory=territory,
        owner=random.choice(staff.reps(territory)),
        revenue=Decimal(int(random.lognormvariate(14.5, 1.1) * (20 if whale else 1)) // 1000 * 1000),
        billing=billing,
        shipping=_address(random, territory) if random.random() < 0.3 else billing,
        parent=parent,
        pace=(random.lognormvariate(0, 0.8) * (9 if whale else 1)) if kind in ("Customer", "Partner") else 0.0,
        basket=random.lognormvariate(0, 0.4) * (4 if whale else 1),
        first=first,
        last=min(last, until),
    )


def _name(random: Random, industry: str, names: set[str], parent: Client | None, city: str) -> str:
    while True:
        if parent:
            name = f"{parent.name} {city}"
        elif random.random() < 0.25:
            name = f"{random.choice(FAMILY_NAMES)} {random.choice(COMPANY_LAST[industry])}"
        else:
            name = f"{random.choice(COMPANY_FIRST)} {random.choice(COMPANY_LAST[industry])}"
        if name in names:
            name = f"{name} {random.choice(('of', 'at'))} {random.choice(COMPANY_FIRST)}"
        if name not in names:
            names.add(name)
            return name


def _address(random: Random, territory: int) -> Address:
    country, places = TERRITORIES[territory][1], TERRITORIES[territory][6]
    city, region, pattern = random.choice(places)
    code = "".join(str(random.randrange(10)) if sign == "#" else sign for sign in pattern)
    return {
        "line1": f"{random.randint(1, 240)} {random.choice(STREETS)} Street",
        "line2": f"Unit {random.randint(1, 40)}" if random.random() < 0.2 else None,
        "city": city,
        "region": region,
        "postal_code": code,
        "country": country,
    }


def _ascii(name: str) -> str:
    plain = name.lower().translate(str.maketrans("áãäåçéíñóöøřüćàèìò", "aaaaceinooorucaeio"))
    return "".join(sign for sign in plain if sign.isascii() and sign.isalpha())


def _domain(company: str) -> str:
    return "-".join(_ascii(word) for word in company.split() if _ascii(word)) + ".example"
