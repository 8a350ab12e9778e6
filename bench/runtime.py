"""The whole stack: how long it takes to start, what it costs while nobody works, and what one command costs.

Measured on an installation of its own with the demo company loaded, started and asked as a user would.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator

from bench.figure import Figure
from tests.dagster import Dagster
from tests.stack import Stack, eventually

IDLE_SECONDS = 60
POSTS = 600
WARM_UP = 50


def run() -> Iterator[Figure]:
    stack = Stack()
    try:
        began = time.monotonic()
        stack.up(dagster=True)
        first = time.monotonic() - began
        yield Figure("first start, empty", round(first, 1), "s", how="clusters, schemas, marts, until /healthz answers")
        began = time.monotonic()
        stack.run("demo", timeout=900)
        yield Figure("demo company", round(time.monotonic() - began, 1), "s", how="2,000 accounts, 20,000 orders")
        eventually(lambda: drained(stack), timeout=300, what="everything landed and refreshed")
        loaded = round(stack.status()["memory_bytes"] / 1e6)
        yield Figure.at_most("memory (PSS) after a load", loaded, 1500, "MB", "caches of both clusters filled")
        stack.down()
        began = time.monotonic()
        stack.up(dagster=True)
        second = time.monotonic() - began
        yield Figure.at_most("second start", round(second, 1), 20, "s", "until /healthz answers, demo company loaded")
        eventually(Dagster(stack).is_well, timeout=120, what="Dagster is there")
        there = round(time.monotonic() - began, 1)
        yield Figure(
            "Dagster after a second start", there, "s", how="pages, code and every daemon; nobody waits for it"
        )
        yield from _idle(stack)
        yield from _command(stack)
    finally:
        stack.close()


def drained(stack: Stack) -> bool:
    """Whether nothing is on its way any more."""
    report = stack.status()
    waiting = sum(row.get("pending", 0) for row in (*report["sinks"], *report["deliveries"]))
    return not waiting and all(row["lag_bytes"] < 100_000 for row in report["sources"])


def cpu(stack: Stack) -> dict[str, float]:
    """CPU seconds so far of each process with its descendants, ended ones (a server's closed connections) included."""
    return {row["name"]: row["cpu_seconds"] for row in stack.status()["processes"]}


def _idle(stack: Stack) -> Iterator[Figure]:
    time.sleep(20)  # what the start left to do: autovacuum, first polls
    before = cpu(stack)
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    spent = {name: used - before[name] for name, used in cpu(stack).items()}
    elapsed = time.monotonic() - began
    report = stack.status()
    memory = {row["name"]: row["memory_bytes"] / 1e6 for row in report["processes"]}
    parts = ", ".join(f"{name} {used:.0f}" for name, used in memory.items())
    yield Figure.at_most("idle memory (PSS)", round(sum(memory.values())), 1500, "MB", parts)
    share = {name: 100 * used / elapsed for name, used in spent.items()}
    parts = ", ".join(f"{name} {used:.1f}" for name, used in share.items())
    yield Figure.at_most(
        "idle CPU", round(sum(share.values()), 1), 10, "% of a core", f"over {IDLE_SECONDS} s: {parts}"
    )


def _command(stack: Stack) -> Iterator[Figure]:
    ordered, spent = post_accounts(stack, POSTS)
    how = f"{POSTS} one after the other over one connection, durable commits"
    yield Figure("POST account p50", round(1000 * ordered[len(ordered) // 2], 1), "ms", how=how)
    yield Figure("POST account p95", round(1000 * ordered[int(len(ordered) * 0.95)], 1), "ms", how=how)
    parts = ", ".join(
        f"{name} {1000 * used / POSTS:.1f}" for name, used in spent.items() if 1000 * used / POSTS >= 0.05
    )
    total = round(1000 * sum(spent.values()) / POSTS, 1)
    yield Figure("POST account, CPU of everything", total, "ms", how=f"until landed and refreshed: {parts}")


def post_accounts(stack: Stack, posts: int) -> tuple[list[float], dict[str, float]]:
    """Makes accounts one after the other over one connection, some more to warm up first.

    Returns the seconds that each took, sorted, and the CPU seconds of each process until all had landed.
    """
    connection = http.client.HTTPConnection("127.0.0.1", stack.config.web_port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {stack.token()}"}
    taken: list[float] = []
    before: dict[str, float] = {}
    for n in range(WARM_UP + posts):
        if n == WARM_UP:
            before = cpu(stack)
        body = json.dumps({"name": f"Benchmark {n}", "account_type": "Customer"})
        began = time.perf_counter()
        connection.request("POST", "/api/contacts/accounts", body, headers | {"Idempotency-Key": str(uuid.uuid4())})
        answer = connection.getresponse()
        content = answer.read()
        taken.append(time.perf_counter() - began)
        if answer.status != 201:
            raise RuntimeError(f"POST account: {answer.status} {content[:300]!r}")
    eventually(lambda: drained(stack), timeout=120, what="everything landed and refreshed")
    return sorted(taken[WARM_UP:]), {name: used - before[name] for name, used in cpu(stack).items()}
