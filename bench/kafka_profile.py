"""The whole Kafka profile: from nothing to the first event, what each process takes, and what one service's end costs
the others. For ``bench.kafka``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg

from bench.figure import Figure
from headwater.supervisor.hold import held
from tests.kafka.profile.whole import account_360, make_account, warehouse
from tests.kafka.profile.work import PROFILES, Work
from tests.stack import Stack, eventually

ROUNDS = 100
SETTLED, IDLE = 20.0, 60.0
"""Seconds until work has been digested, and that idleness is then watched."""

LIMIT_MB = 4000
OF_FINANCE = ("finance", "jobs-finance", "oltp-finance")
UNLIMITED = {"HEADWATER_GATEWAY_RATE": "100000", "HEADWATER_GATEWAY_LOGINS": "1000"}


def whole_profile() -> Iterator[Figure]:
    stack = Stack(environment=UNLIMITED)
    try:
        began = time.monotonic()
        stack.run("up", "--detach", "--no-demo", "--profile", "kafka", timeout=600)
        yield Figure(
            "whole profile, first start", round(time.monotonic() - began, 1), "s", how="jars there; Dagster too"
        )
        token = stack.token()
        account = make_account(stack, token, "The first")
        query = "select 1 from raw_contacts.account where account_uuid = %s"
        eventually(lambda: warehouse(stack, query, account), 120, "the first event in the mirror")
        yield Figure("from nothing to the first event in the mirror", round(time.monotonic() - began, 1), "s")
        account_360(stack, token, account)
        yield from _one_by_one(stack, token)
        yield _idle(stack)
        with closing(Work(stack)) as work:
            yield from _isolation(stack, work)
        yield from _memory(stack)
    finally:
        stack.close()


def _one_by_one(stack: Stack, token: str) -> Iterator[Figure]:
    """An account, and the next once it is in the mirror: what somebody who waits for their own change sees."""
    seconds = []
    query = b"select 1 from raw_contacts.account where account_uuid = %s"
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as mirror:
        for number in range(ROUNDS):
            account = make_account(stack, token, f"One by one {number}")
            answered = time.monotonic()
            while mirror.execute(query, [account]).fetchone() is None:
                time.sleep(0.002)
            seconds.append(time.monotonic() - answered)
    how = f"{ROUNDS} accounts, each made once the one before is there"
    yield Figure("answer → mirror p50, one at a time", round(1000 * statistics.median(seconds), 1), "ms", how=how)
    yield Figure("answer → mirror p95, one at a time", round(1000 * p95(seconds), 1), "ms", how=how)


def _idle(stack: Stack) -> Figure:
    """What the profile takes while nobody does anything."""

    def used() -> dict[str, float]:
        return {row["name"]: row["cpu_seconds"] for row in stack.status()["processes"]}

    time.sleep(SETTLED)
    before, began = used(), time.monotonic()
    time.sleep(IDLE)
    elapsed, after = time.monotonic() - began, used()
    shares = {name: 100 * (after[name] - before[name]) / elapsed for name in before}
    largest = sorted(shares.items(), key=lambda one: -one[1])[:8]
    parts = ", ".join(f"{name} {share:.1f}" for name, share in largest)
    return Figure("CPU of the idle profile", round(sum(shares.values()), 1), "% of a core", how=parts)


def _isolation(stack: Stack, work: Work) -> Iterator[Figure]:
    """p95 of the same steps, Finance there, away and there again."""
    for number in range(10):
        work.round(f"warm up {number}")
    there, _ = _rounds(stack, work, "there")
    with held(stack.home, *OF_FINANCE):
        away, last = _rounds(stack, work, "away")
        waiting = next(row["pending"] for row in stack.status()["deliveries"] if row["consumer"] == "finance")
        began = time.monotonic()
    eventually(lambda: work.status(f"{PROFILES}/{last}") == 200, 300, "Finance's copy of the last account")
    caught_up = time.monotonic() - began
    again, _ = _rounds(stack, work, "again")
    for kind in there:
        yield Figure(
            f"{kind}, p95 with Finance away",
            round(1000 * p95(away[kind]), 1),
            "ms",
            how=f"{1000 * p95(there[kind]):.1f} before, {1000 * p95(again[kind]):.1f} after; {ROUNDS} rounds each",
        )
    how = f"process, jobs and cluster started; {waiting} events had waited"
    yield Figure("Finance, back and up with everything", round(caught_up, 1), "s", how=how)


def _rounds(stack: Stack, work: Work, name: str) -> tuple[dict[str, list[float]], str]:
    work.renew(stack)
    work.seconds = {}
    last = ""
    for number in range(ROUNDS):
        last = work.round(f"{name} {number}")
    return work.seconds, last


def p95(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.95)]


def _memory(stack: Stack) -> Iterator[Figure]:
    memory = {row["name"]: row["memory_bytes"] / 1e6 for row in stack.status()["processes"]}
    parts = ", ".join(f"{name} {used:.0f}" for name, used in sorted(memory.items(), key=lambda one: -one[1]))
    yield Figure.at_most("memory (PSS) of the whole profile", round(sum(memory.values())), LIMIT_MB, "MB", parts)
