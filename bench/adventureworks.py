"""AdventureWorks: how long the import of its sales side takes with every reader running, and when all marts are right.

Right means what Microsoft's documentation says: 31,465 orders, 121,317 lines, 109,846,381.399888, 19,820 customers.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from bench.figure import Figure
from tests.datasets import find
from tests.spine.totals import marts, wanted
from tests.stack import Stack, eventually


def run() -> Iterator[Figure]:
    files = find("adventureworks")
    if files is None:
        yield Figure("import", "not measured", how="the folder adventureworks is absent; set HEADWATER_TEST_DATA")
        return
    stack = Stack()
    try:
        stack.up()
        before = _cpu(stack)
        own = _children()
        began = time.monotonic()
        stack.run("import", "adventureworks", "--from", str(files), timeout=600)
        imported = time.monotonic() - began
        own = _children() - own
        with psycopg.connect(stack.config.warehouse_url("postgres"), autocommit=True) as warehouse:
            eventually(lambda: marts(warehouse) == wanted(), timeout=300, what="marts give the published totals")
        right = time.monotonic() - began - imported
        spent = {name: used - before.get(name, 0.0) for name, used in _cpu(stack).items()}
        parts = ", ".join(f"{name} {used:.0f}" for name, used in spent.items() if used >= 0.5)
        busy = f"every reader running; load average {os.getloadavg()[0]:.1f}"
        yield Figure.at_most("import", round(imported, 1), 60, "s", busy)
        yield Figure.at_most("all marts right", round(right, 1), 30, "s", "after the import's end")
        total = own + sum(spent.values())
        yield Figure(
            "CPU of it all", round(total, 1), "s", how=f"until all marts are right: importer {own:.0f}, {parts}"
        )
        began = time.monotonic()
        stack.run("import", "adventureworks", "--from", str(files), timeout=600)
        yield Figure("second import", round(time.monotonic() - began, 1), "s", how="changes nothing")
    finally:
        stack.close()


def _children() -> float:
    """CPU seconds of programs that this process ran and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(stack: Stack) -> dict[str, float]:
    report: dict[str, Any] = stack.status()
    return {row["name"]: row["cpu_seconds"] for row in report["processes"]}
