"""Northwind through the whole spine: the published total comes out of the warehouse; a second import adds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.datasets import folder
from tests.stack import Stack, eventually

pytestmark = pytest.mark.timeout(400)
FIGURES = """
select orders.*, lines.*, seen.orders, accounts.count, products.count
from
    (select count(*) as orders, sum(line_net_total) as net from marts.fct_sales_order) as orders,
    (select count(*) as lines, sum(line_net) as net from marts.fct_sales_order_line) as lines,
    (select sum(order_count) as orders from reporting.c360_account) as seen,
    (select count(*) from marts.dim_account) as accounts,
    (select count(*) from marts.dim_product) as products
"""
TOTAL = Decimal("1265793.0395")
"""Published as 1,265,793.04: the sum of quantity × unit price × (1 − discount) over all lines, none of them rounded."""
WANTED = (830, TOTAL, 2_155, TOTAL, 830, 91 + 29, 77)


@pytest.fixture(scope="module")
def files() -> Path:
    return folder("northwind")


@pytest.fixture(scope="module")
def stack(files: Path) -> Iterator[Stack]:
    made = Stack()
    try:
        made.up()
        made.run("import", "northwind", "--from", str(files))
        yield made
    finally:
        made.close()


def test_the_warehouse_gives_the_published_total(warehouse: psycopg.Connection[tuple[Any, ...]]) -> None:
    eventually(lambda: warehouse.execute(FIGURES).fetchone() == WANTED, 60, "the marts are right")
    total = warehouse.execute("select round(sum(line_net), 2) from marts.fct_sales_order_line").fetchone()
    assert total == (Decimal("1265793.04"),)


def test_importing_again_changes_nothing(
    stack: Stack, files: Path, warehouse: psycopg.Connection[tuple[Any, ...]]
) -> None:
    eventually(lambda: warehouse.execute(FIGURES).fetchone() == WANTED, 60, "the marts are right")
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres"), autocommit=True) as oltp:
        versions = "select (select sum(version) from contacts.account), (select count(*) from contacts.outbox),"
        versions += " (select count(*) from orders.sales_order), (select count(*) from orders.external_reference)"
        before = oltp.execute(versions).fetchone()
        said = stack.run("import", "northwind", "--from", str(files)).stdout
        assert oltp.execute(versions).fetchone() == before
    assert [line.split()[1:4] for line in said.splitlines() if line.startswith("orders")] == [["0", "830", "0"]]
