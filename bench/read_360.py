"""The customer 360 over HTTP with AdventureWorks loaded (the demo company where its files are absent), one reader."""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator

import psycopg

from bench.figure import Figure
from tests.datasets import find
from tests.stack import Stack, eventually

RANDOM, LARGEST, WARM_UP = 1_000, 100, 50


def run() -> Iterator[Figure]:
    files = find("adventureworks")
    stack = Stack()
    try:
        stack.up(demo=files is None)
        if files is not None:
            stack.run("import", "adventureworks", "--from", str(files), timeout=600)
        with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
            eventually(lambda: _drained(warehouse), timeout=300, what="everything landed and refreshed")
            chosen = {
                "accounts at random": _accounts(warehouse, "md5(account_uuid::text)", RANDOM),
                "accounts with the most orders": _accounts(warehouse, "order_count desc", LARGEST),
            }
        company = "AdventureWorks" if files is not None else "the demo company"
        reader = http.client.HTTPConnection("127.0.0.1", stack.config.web_port)
        headers = {"Authorization": f"Bearer {stack.token()}"}
        for account in chosen["accounts at random"][:WARM_UP]:
            _read(reader, headers, account)
        for what, accounts in chosen.items():
            taken = sorted(_read(reader, headers, account) for account in accounts)
            how = f"{len(taken)} {what} of {company}, one connection"
            yield Figure(f"360 read p50, {what}", round(statistics.median(taken), 1), "ms", how=how)
            yield Figure.at_most(f"360 read p95, {what}", round(taken[int(len(taken) * 0.95)], 1), 20, "ms", how)
    finally:
        stack.close()


def _read(reader: http.client.HTTPConnection, headers: dict[str, str], account: object) -> float:
    """Milliseconds of one request, answer read to its end."""
    began = time.perf_counter()
    reader.request("GET", f"/api/360/accounts/{account}", headers=headers)
    answer = reader.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body[:300]!r}")
    return 1000 * (time.perf_counter() - began)


def _accounts(warehouse: psycopg.Connection[tuple[object, ...]], order: str, limit: int) -> list[object]:
    query = f"select account_uuid from reporting.c360_account order by {order} limit {limit}"
    return [row[0] for row in warehouse.execute(query.encode())]


def _drained(warehouse: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = warehouse.execute("select count(*) from log.queue where consumer = 'refresh'").fetchone()
    return row == (0,)
