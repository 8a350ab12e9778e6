"""Warehouse databases with every model built, a copy a test: the mirror of ``tests.mirror``, dbt once a run."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from headwater.embedded.postgres import Cluster
from pipelines.refresh.lane import Lane, Pass
from pipelines.refresh.program import Program
from tests.mirror import Change, Connection, Stream, make_mirror, put
from tests.passwords import PASSWORD
from warehouse.compile import PROJECT, build, compile_hot

TEMPLATE = "marts_template"

NORTH, SOUTH = UUID(int=1 << 64 | 1), UUID(int=1 << 64 | 2)
"""Territories of the seed."""
ACME, ACME_EAST, GLOBEX = (UUID(int=2 << 64 | n) for n in (1, 2, 3))
"""Accounts of the seed: Acme (north) with its child Acme East, and Globex (south)."""
ORDER, ORDER_LINE = UUID(int=3 << 64 | 1), UUID(int=4 << 64 | 1)
BIKES, ROAD_BIKES, BIKE = (UUID(int=5 << 64 | n) for n in (1, 2, 3))
PERSON = UUID(int=6 << 64 | 1)


@dataclass(frozen=True)
class Marts:
    """One warehouse database, all models built from the seed and nothing in the queue."""

    cluster: Cluster
    name: str

    def dsn(self, role: str = "wh_owner") -> str:
        return self.cluster.dsn(self.name, user=role, password=PASSWORD)

    def connect(self, role: str = "wh_owner") -> Connection:
        return psycopg.connect(self.dsn(role), autocommit=True)

    def superuser(self) -> Connection:
        return self.cluster.connect(self.name)  # type: ignore[return-value]


@contextmanager
def copy_of_marts(cluster: Cluster) -> Iterator[Marts]:
    """A database of its own, removed afterwards."""
    _make_template(cluster)
    name = f"marts_{uuid.uuid4().hex[:12]}"
    with cluster.connect() as server:
        server.execute(f"create database {name} template {TEMPLATE} owner wh_owner".encode())
        try:
            yield Marts(cluster, name)
        finally:
            server.execute(f"drop database {name} with (force)".encode())


_made: set[int] = set()


def _make_template(cluster: Cluster) -> None:
    """Once a cluster: roles, mirror, seed and every model."""
    if cluster.port in _made:
        return
    with cluster.connect() as server:
        for role in ("wh_owner", "wh_api", "wh_analyst"):
            if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                login = "nologin" if role == "wh_analyst" else f"login password '{PASSWORD}'"
                server.execute(f"create role {role} {login}".encode())
        server.execute(f"create database {TEMPLATE} owner wh_owner".encode())
    dsn = cluster.dsn(TEMPLATE, user="wh_owner", password=PASSWORD)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("alter default privileges grant usage on schemas to wh_api")
        owner.execute("alter default privileges grant select on tables to wh_api")
        make_mirror(owner)
        Stream(owner).commit(*seed())
        owner.execute("delete from log.queue")
    build(dsn, tests=False, target=dbt_target("run"))
    with psycopg.connect(dsn, autocommit=True) as owner:
        # A day that begins during the tests makes work for the lane that none of them expects.
        owner.execute("update ops.as_of set pinned = true")
    _made.add(cluster.port)


@cache
def hot_manifest() -> Path:
    """The manifest of the compile that the hot lane runs from."""
    return compile_hot(dbt_target("hot"))


def dbt_target(name: str) -> Path:
    """A folder that keeps dbt's parse from run to run, one for each test process; it is never committed."""
    return PROJECT / "target" / f"tests-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{name}"


def seed() -> list[Change]:
    """A few rows of everything that a mart reads."""
    return [
        put("identity.territory", id=NORTH, name="North", country_code="GB", group_name="Europe"),
        put("identity.territory", id=SOUTH, name="South", country_code="GB", group_name="Europe"),
        put("contacts.account", account_uuid=ACME, account_number="AC-000001", name="Acme", territory_id=NORTH),
        put(
            "contacts.account",
            account_uuid=ACME_EAST,
            account_number="AC-000002",
            name="Acme East",
            parent_id=ACME,
            territory_id=NORTH,
        ),
        put("contacts.account", account_uuid=GLOBEX, account_number="AC-000003", name="Globex", territory_id=SOUTH),
        put("contacts.contact", id=PERSON, account_uuid=ACME, first_name="Ann", last_name="Lee", territory_id=NORTH),
        put("finance.account_profile", account_uuid=ACME, balance_due=Decimal(250), territory_id=NORTH),
        put("inventory.product_category", id=BIKES, name="Bikes"),
        put("inventory.product_category", id=ROAD_BIKES, name="Road bikes", parent_id=BIKES),
        put("inventory.product", id=BIKE, sku="BK-1", name="Racer", category_id=ROAD_BIKES, list_price=Decimal(1000)),
        order(ORDER, ACME, number="SO-000001", sub_total=Decimal("300.0000"), territory_id=NORTH),
        line(ORDER_LINE, ORDER, quantity=Decimal(3), unit_price=Decimal(100)),
    ]


def order(id: UUID, account: UUID, *, number: str, day: date = date(2024, 5, 1), **values: Any) -> Change:
    return put("orders.sales_order", id=id, account_uuid=account, order_number=number, order_date=day, **values)


def line(id: UUID, order_id: UUID, *, line_no: int = 1, product: UUID = BIKE, **values: Any) -> Change:
    return put("orders.sales_order_line", id=id, order_id=order_id, line_no=line_no, product_id=product, **values)


def differences(connection: Connection, program: Program) -> list[str]:
    """Rows in which a hot mart's table differs from its own SQL run over everything; empty when all is right."""
    found = []
    for model in program.models:
        rebuilt = model.insert_all.split(" select ", 1)[1]
        columns = rebuilt.split(" from (", 1)[0]
        standing, full = f"select {columns} from {model.relation}", f"select {rebuilt}"
        for what, left, right in (("lacks", full, standing), ("has too much", standing, full)):
            rows = connection.execute(f"select to_jsonb(d)::text from (({left}) except all ({right})) d".encode())
            found += [f"{model.name} {what}: {row}" for (row,) in rows]
    return found


def drain(lane: Lane) -> list[Pass]:
    passes = []
    while lane.is_due():
        passes.append(lane.run_pass())
    return passes
