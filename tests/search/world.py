"""Companies, people and orders that tests search for, and readers with rights of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from headwater.embedded.postgres import Cluster
from policy.principal import Principal
from search.answer import Answer
from search.engines import open_engine
from search.place import Place
from search.port import Engine
from search.read import find_with
from search.sync import Pass, Sync, nowhere
from tests.mirror import Change, Connection, Stream, make_mirror, put
from tests.passwords import PASSWORD

TEMPLATE = "search_template"

NORTH, SOUTH = UUID(int=1 << 64 | 1), UUID(int=1 << 64 | 2)
"""Territories."""
TEAM = UUID(int=1 << 64 | 9)
SUMMIT, SUMMIT_EAST, MUELLER, ACME = (UUID(int=2 << 64 | n) for n in (1, 2, 3, 4))
"""Accounts: Summit Mountain Sports and Summit East in the north, Müller in the south, Acme in the north."""
ANN, JOSE = (UUID(int=6 << 64 | n) for n in (1, 2))
BIKES, MOUNTAIN_BIKES, BIKE, HELMET = (UUID(int=5 << 64 | n) for n in (1, 2, 3, 4))
ORDER, FOREIGN_ORDER, SOUTHERN_ORDER = (UUID(int=3 << 64 | n) for n in (1, 2, 3))
"""Orders: Summit's in the north, one of the north for Müller of the south, Müller's own in the south."""

_made: set[int] = set()


def make_template(cluster: Cluster) -> str:
    """Once a cluster: roles, schemas and an empty mirror with the indexes that readers make on it."""
    if cluster.port in _made:
        return TEMPLATE
    with cluster.connect() as server:
        for role in ("wh_owner", "wh_api", "wh_analyst"):
            if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                login = "nologin" if role == "wh_analyst" else f"login password '{PASSWORD}'"
                server.execute(f"create role {role} {login}".encode())
        server.execute(f"create database {TEMPLATE} owner wh_owner".encode())
    with psycopg.connect(cluster.dsn(TEMPLATE, user="wh_owner", password=PASSWORD), autocommit=True) as owner:
        owner.execute("alter default privileges grant usage on schemas to wh_api")
        owner.execute("alter default privileges grant select on tables to wh_api")
        make_mirror(owner)
        for table, column in INDEXES:
            owner.execute(f"create index on {table} ({column})".encode())
    _made.add(cluster.port)
    return TEMPLATE


INDEXES = (
    ("raw_contacts.contact", "account_uuid"),
    ("raw_orders.sales_order", "account_uuid"),
    ("raw_orders.sales_order_line", "order_id"),
    ("raw_inventory.product", "category_id"),
)


def seed() -> list[Change]:
    address = {"line1": "1 High St", "city": "Zürich", "region": "ZH", "postal_code": "8001", "country": "CH"}
    north, south = {"territory_id": NORTH}, {"territory_id": SOUTH}
    return [
        account(SUMMIT, "AC-000101", "Summit Mountain Sports", industry="Retail", **north),
        account(SUMMIT_EAST, "AC-000102", "Summit East", parent_id=SUMMIT, team_id=TEAM, **north),
        account(MUELLER, "AC-000103", "Müller Fahrräder AG", billing_address=address, **south),
        account(ACME, "AC-000104", "Acme", status="Inactive", account_type="Vendor", **north),
        *(profile(id, name, **where) for id, name, where in _PROFILES),
        person(ANN, SUMMIT, "Ann", "Lee", "Buyer", "ann.lee@summit.example", **north),
        person(JOSE, MUELLER, "José", "García", "CEO", "jose@mueller.example", **south),
        put("inventory.product_category", id=BIKES, name="Bikes"),
        put("inventory.product_category", id=MOUNTAIN_BIKES, name="Mountain Bikes", parent_id=BIKES),
        product(BIKE, "BK-M82S-42", "Mountain-100 Silver, 42", category_id=MOUNTAIN_BIKES, color="Silver"),
        product(HELMET, "HL-U509", "Sport-100 Helmet, Black", color="Black", is_active=False),
        order(ORDER, "SO-000123", SUMMIT, **north),
        line(1, ORDER, BIKE, "BK-M82S-42", "Mountain-100 Silver, 42"),
        order(FOREIGN_ORDER, "SO-000124", MUELLER, status="draft", **north),
        order(SOUTHERN_ORDER, "SO-000125", MUELLER, purchase_order_number="PO-77-X", **south),
    ]


_PROFILES: list[tuple[UUID, str, dict[str, Any]]] = [
    (SUMMIT, "Summit Mountain Sports", {"territory_id": NORTH}),
    (SUMMIT_EAST, "Summit East", {"territory_id": NORTH}),
    (MUELLER, "Müller Fahrräder AG", {"territory_id": SOUTH}),
]


def account(id: UUID, number: str, name: str, **values: Any) -> Change:
    return put("contacts.account", account_uuid=id, account_number=number, name=name, **values)


def profile(id: UUID, name: str, **values: Any) -> Change:
    """Orders' own copy of an account."""
    return put("orders.account_profile", account_uuid=id, name=name, **values)


def product(id: UUID, sku: str, name: str, **values: Any) -> Change:
    return put("inventory.product", id=id, sku=sku, name=name, **values)


def order(id: UUID, number: str, account: UUID, **values: Any) -> Change:
    return put(
        "orders.sales_order",
        id=id,
        order_number=number,
        account_uuid=account,
        **({"order_date": "2026-05-01"} | values),
    )


def line(number: int, order_id: UUID, product_id: UUID, sku: str, name: str) -> Change:
    return put(
        "orders.sales_order_line",
        id=UUID(int=order_id.int << 8 | number),
        order_id=order_id,
        line_no=number,
        product_id=product_id,
        sku=sku,
        product_name=name,
        quantity=1,
        unit_price=10,
    )


def person(id: UUID, account: UUID, first: str, last: str, title: str, email: str, **scope: UUID) -> Change:
    names = {"first_name": first, "last_name": last, "job_title": title, "email": email}
    return put("contacts.contact", id=id, account_uuid=account, **names, **scope)


def reader(*roles: str, territory: UUID | None = None, team: UUID | None = None, user: int = 1) -> Principal:
    territories, teams = (territory,) if territory else (), (team,) if team else ()
    return Principal(UUID(int=8 << 64 | user), "someone", frozenset(roles), teams, territories, None, int(time.time()))


ADMIN = reader("admin", user=99)


@contextmanager
def searching_in(cluster: Cluster, place: Place, reach: Callable[[str], None] = nowhere) -> Iterator[Searching]:
    """Over a warehouse of its own, removed afterwards: schemas, an empty mirror, nothing in the queues."""
    template = make_template(cluster)
    name = f"search_{uuid.uuid4().hex[:12]}"

    def dsn(role: str) -> str:
        return cluster.dsn(name, user=role, password=PASSWORD)

    with cluster.connect() as superuser:
        superuser.execute(f"create database {name} template {template} owner wh_owner".encode())
        try:
            with (
                psycopg.connect(dsn("wh_owner"), autocommit=True) as owner,
                psycopg.connect(dsn("wh_owner"), autocommit=True) as connection,
                closing(open_engine(place)) as engine,
            ):
                yield Searching(dsn, owner, Stream(owner), place, engine, Sync(connection, engine, reach))
        finally:
            superuser.execute(f"drop database {name} with (force)".encode())


@dataclass
class Searching:
    """One installation's search: what lands (``stream``), what follows it (``sync``), and what people find."""

    dsn: Callable[[str], str]
    owner: Connection
    stream: Stream
    place: Place
    engine: Engine
    sync: Sync

    def land(self, *changes: Change) -> None:
        self.stream.commit(*changes)

    def settle(self) -> list[Pass]:
        """Runs passes until nothing is due."""
        passes = []
        while self.sync.is_due():
            passes.append(self.sync.run_pass())
            assert len(passes) < 1000
        return passes

    def find(self, q: str, who: Principal = ADMIN, **more: Any) -> Answer:
        return find_with(self.engine, self.dsn("wh_api"), who, q, **more)

    def ids(self, q: str, who: Principal = ADMIN, **more: Any) -> set[UUID]:
        """Everything that is found, of every entity."""
        return {hit.id for group in self.find(q, who, limit=100, **more).groups for hit in group.hits}
