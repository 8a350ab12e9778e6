"""The hot lane: what a pass costs at 1, 10 and 100 times the history, and how long a commit takes to reach a hot mart.

History: 2,000 accounts, 20,000 orders and 80,000 lines, times the factor; accounts grow with orders. Passes run in
this process against a durable cluster. The latency is that of a whole installation under 500 commits a second.
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
from uuid_utils.compat import uuid7

from bench.figure import Figure
from headwater.embedded.postgres import WAREHOUSE, Cluster, free_port
from pipelines.refresh.lane import Lane
from pipelines.refresh.program import Program, load
from tests.history import build_in_place, fill, identifier
from tests.marts import copy_of_marts, hot_manifest, line, order
from tests.mirror import Change, Connection, Stream
from tests.stack import Stack, eventually

FACTORS = (1, 10, 100)
ACCOUNTS, ORDERS = 2_000, 20_000
PASSES = 25
RATE = 500
SECONDS = 60


def run() -> Iterator[Figure]:
    yield from _cost()
    yield from _latency()


def _cost() -> Iterator[Figure]:
    root = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    root.chmod(0o711)
    cluster = Cluster("warehouse", root / "warehouse", free_port(), "postgres", WAREHOUSE)
    cluster.init()
    cluster.start()
    try:
        program = load(hot_manifest())
        first: dict[int, float] = {}
        for factor in FACTORS:
            for orders, seconds in _passes(cluster, program, factor).items():
                ratio = seconds / first.setdefault(orders, seconds)
                name = f"pass of {orders} new order{'s' * (orders > 1)}, {factor}× history"
                how = f"median of {PASSES}; {orders * 5} changes"
                yield Figure(
                    name, round(1000 * seconds, 1), "ms", how=how + (f"; {ratio:.1f}× of 1×" if ratio != 1 else "")
                )
    finally:
        cluster.stop(immediate=True)
        shutil.rmtree(root, ignore_errors=True)


def _passes(cluster: Cluster, program: Program, factor: int) -> dict[int, float]:
    """Orders in the batch → median seconds of its pass."""
    with copy_of_marts(cluster) as marts, marts.connect() as owner, marts.connect() as connection:
        owner.execute("set synchronous_commit = off")
        fill(owner, accounts=ACCOUNTS * factor, orders=ORDERS * factor)
        build_in_place(owner, program)
        stream, lane = Stream(owner), Lane(connection, program)
        return {orders: _median(owner, stream, lane, factor, orders) for orders in (1, 100)}


def _median(owner: Connection, stream: Stream, lane: Lane, factor: int, orders: int) -> float:
    chance = random.Random(orders)
    taken = []
    for _ in range(PASSES + 3):  # the first fill caches
        stream.commit(*(change for _ in range(orders) for change in _order(chance, factor)))
        began = time.perf_counter()
        done = lane.run_pass()
        taken.append(time.perf_counter() - began)
        assert not done.rebuilt
        assert not done.parked
    return statistics.median(taken[3:])


def _order(chance: random.Random, factor: int) -> list[Change]:
    new = uuid7()
    account = identifier("account", chance.randint(1, ACCOUNTS * factor))
    day = date(2005, 1, 1) + timedelta(days=chance.randint(0, 999))
    lines = [
        line(uuid7(), new, line_no=n, quantity=Decimal(1), unit_price=Decimal(10), product=identifier("product", n))
        for n in range(1, 5)
    ]
    return [order(new, account, number=f"NEW-{new}", day=day, sub_total=Decimal(40)), *lines]


def _latency() -> Iterator[Figure]:
    """Every quarter of a second one account's industry is set to the time; the mart is asked until it says so."""
    stack = Stack()
    try:
        stack.up(demo=True)
        stop = threading.Event()
        with (
            psycopg.connect(stack.config.service_url("contacts"), autocommit=True) as writer,
            psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse,
        ):
            accounts = [row[0] for row in writer.execute("select account_uuid from contacts.account limit 1000")]
            marked = accounts.pop()
            eventually(
                lambda: _one(warehouse, "select count(*) from log.queue") == 0, timeout=300, what="all refreshed"
            )
            background = threading.Thread(target=_load, args=[stack.config.service_url("contacts"), accounts, stop])
            background.start()
            taken = []
            began = time.monotonic()
            while time.monotonic() - began < SECONDS:
                taken.append(_mark(writer, warehouse, marked, len(taken)))
                time.sleep(0.25)
            stop.set()
            background.join()
        taken.sort()
        how = f"{len(taken)} commits to contacts.account, asked for in marts.dim_account, at {RATE} commits a second"
        yield Figure("commit → hot mart p50", round(statistics.median(taken), 2), "s", how=how)
        yield Figure.at_most("commit → hot mart p95", round(taken[int(len(taken) * 0.95)], 2), 2, "s", how)
    finally:
        stack.close()


def _mark(
    writer: psycopg.Connection[tuple[object, ...]],
    warehouse: psycopg.Connection[tuple[object, ...]],
    account: object,
    number: int,
) -> float:
    """Seconds from the commit of a change to its being read in the mart."""
    statement = "update contacts.account set industry = %s, version = version + 1 where account_uuid = %s"
    writer.execute(statement, [f"mark {number}", account])
    committed = time.monotonic()
    while (
        _one(warehouse, "select industry from marts.dim_account where account_uuid = %s", account) != f"mark {number}"
    ):
        if time.monotonic() - committed > 60:
            raise RuntimeError("the hot mart did not follow within a minute")
        time.sleep(0.005)
    return time.monotonic() - committed


def _load(dsn: str, accounts: list[object], stop: threading.Event) -> None:
    """``RATE`` single-row commits a second, spread over the accounts."""
    statement = "update contacts.account set industry = %s, version = version + 1 where account_uuid = %s"
    with psycopg.connect(dsn, autocommit=True) as writer:
        began, done = time.monotonic(), 0
        while not stop.is_set():
            if done / RATE > time.monotonic() - began:
                stop.wait(0.002)
                continue
            writer.execute(statement, [str(done), accounts[done % len(accounts)]])
            done += 1


def _one(connection: psycopg.Connection[tuple[object, ...]], query: str, *parameters: object) -> object:
    row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None
