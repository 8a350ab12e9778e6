"""One storm: load, deaths, calm, verification, report."""

from __future__ import annotations

import json
import random
import shutil
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from headwater.config import SERVICES
from headwater.lake import lake
from headwater.searching import place
from search.engines import open_engine
from tests.stack import Stack, eventually
from tests.storm import absence, ledger, points
from tests.storm.clients import Clients
from tests.storm.kills import CLUSTERS, WORKERS, Killer
from tests.storm.ledger import Ledger
from tests.storm.readers import lake_holds_each_change_once, search_equals_documents
from tests.storm.verify import Databases, Finding, hot_marts_equal_rebuilt, verify
from warehouse.compile import compile_hot

CALM_TIMEOUT = 180.0
"""Seconds for everything that was written to arrive everywhere once nobody writes and nothing dies."""


@dataclass
class Outcome:
    killer: Killer
    ledger: Ledger
    findings: list[Finding] = field(default_factory=list)
    without_dagster: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    calm_seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        return [f"{finding.check}: {fault}" for finding in self.findings for fault in finding.faults]

    def count(self, words: str) -> int:
        """How many things the findings call so (``lost``, ``doubled``)."""
        return sum(int(fault.split()[0]) for finding in self.findings for fault in finding.faults if words in fault)

    def as_json(self) -> dict[str, Any]:
        return {
            "kills_by_point": dict(sorted(self.killer.points.items())),
            "kills_by_process": dict(sorted(self.killer.processes.items())),
            "kills": self.killer.total,
            "acknowledged": self.ledger.acknowledged,
            "acknowledged_by_kind": self.ledger.summary(),
            "resent": self.ledger.resent,
            "refused": dict(sorted(self.ledger.refusals.items())),
            "lost": self.count("lost"),
            "doubled": self.count("doubled"),
            "compared": {finding.check: finding.compared for finding in self.findings},
            "faults": self.faults,
            "found_without_dagster_after": {name: round(seconds, 1) for name, seconds in self.without_dagster.items()},
            "seconds": round(self.seconds, 1),
            "calm_seconds": round(self.calm_seconds, 1),
        }

    def lines(self) -> list[str]:
        told = self.as_json()
        dead = told["found_without_dagster_after"]
        return [
            f"Kill storm: {told['kills']} kills in {told['seconds']:.0f} s, calm {told['calm_seconds']:.0f} s later",
            *(f"  {times:>4}  at {point}" for point, times in told["kills_by_point"].items()),
            *(f"  {times:>4}  {name}" for name, times in told["kills_by_process"].items()),
            f"  writes acknowledged {told['acknowledged']:,}, of them resent {told['resent']:,}",
            *(f"  {times:>4}  refused {what}" for what, times in told["refused"].items()),
            f"  lost {told['lost']}, doubled {told['doubled']}",
            *(f"  {after:>4} s from a write to its being found, {name} dead" for name, after in dead.items()),
            *(f"  {check}: {compared:,} compared" for check, compared in told["compared"].items()),
            *(f"  FAULT {fault}" for fault in told["faults"]),
        ]


def run(directory: Path, *, random_kills: int, seed: int, logs: Path) -> Outcome:
    """A whole installation in ``directory``; every fail-point once, every process once, then at random.

    Dagster takes part from the deaths of whole processes on: a run of it could pass a fail-point in a worker's stead,
    and each of its starts takes seconds of both cores.

    What the processes said, and the last state of each, is kept in ``logs``.
    """
    armed = directory / "armed"
    armed.mkdir()
    stack = Stack(directory / "state", {"HEADWATER_FAILPOINT": f"@{armed}", "HEADWATER_DAGSTER": "off"})
    killer = Killer(stack, armed, random.Random(seed))
    began = time.monotonic()
    try:
        for point in points.AT_PREPARATION:
            killer.at_first_start(point)
        killer.up()
        outcome = Outcome(killer, Ledger())
        clients = Clients(lambda: stack.url, stack.token, outcome.ledger, seed=seed)
        killer.load = clients.describe
        clients.products = make_products(stack)
        clients.start()
        for point in points.under_load():
            killer.at_point(point)
        for point in points.AT_START:
            killer.at_start(point)
        del stack.environment["HEADWATER_DAGSTER"]
        for point in points.AT_STOP:
            killer.at_stop(point)
        for name in (*WORKERS, *CLUSTERS, "supervisor"):
            killer.kill(name)
            killer.up() if name == "supervisor" else killer.recover()
        outcome.without_dagster = absence.without_dagster(killer)
        for _ in range(random_kills):
            killer.at_random()
            time.sleep(killer.random.uniform(0.1, 1.0))
        clients.stop()
        outcome.seconds = time.monotonic() - began
        calm = time.monotonic()
        outcome.findings = findings_after_calm(stack, outcome.ledger, directory / "dbt")
        outcome.calm_seconds = time.monotonic() - calm
        return outcome
    finally:
        shutil.rmtree(logs, ignore_errors=True)
        shutil.copytree(stack.home.logs, logs)
        shutil.copytree(stack.home.run, logs / "run")
        stack.close()


def make_products(stack: Stack, count: int = 5) -> list[str]:
    """Products to order, known to Orders."""
    token = stack.token()
    made = []
    for n in range(count):
        body = {"sku": f"STORM-{n}", "name": f"Storm lantern {n}", "list_price": "12.50", "sell_start": "2020-01-01"}
        status, product, _ = stack.call(
            "POST", "/api/inventory/products", body, token=token, headers={"Idempotency-Key": str(uuid.uuid4())}
        )
        assert status == 201, product
        made.append(product["id"])
    with psycopg.connect(stack.config.service_url("orders", role="postgres"), autocommit=True) as orders:
        known = "select count(*) = %s from orders.product_replica where product_id = any(%s)"
        eventually(lambda: _one(orders, known, [count, made]), 60, "Orders knows the products")
    return made


def databases(stack: Stack) -> Databases:
    settings = stack.config
    return Databases(
        services={service: settings.service_url(service, role="postgres") for service in SERVICES},
        stream=settings.stream_url("postgres"),
        warehouse=settings.warehouse_url("postgres"),
    )


def findings_after_calm(stack: Stack, known: Ledger, target: Path) -> list[Finding]:
    """Waits until queues are empty, then verifies; what is still on its way gets the rest of the time to arrive."""
    where = databases(stack)
    manifest = compile_hot(target)
    dagster = absence.goes_on(stack)
    deadline = time.monotonic() + CALM_TIMEOUT
    with (
        psycopg.connect(where.stream, autocommit=True) as stream,
        psycopg.connect(where.warehouse, autocommit=True) as warehouse,
    ):
        while time.monotonic() < deadline and not (
            _one(stream, "select count(*) = 0 from stream.delivery")
            and _one(warehouse, "select count(*) = 0 from log.queue")
        ):
            time.sleep(0.2)
    while True:
        findings = [
            *verify(where),
            hot_marts_equal_rebuilt(where, manifest),
            ledger.check(known, where),
            lake_holds_each_change_once(where, lake(stack.config)),
            searched(stack, where),
            dagster,
        ]
        if not any(finding.faults for finding in findings) or time.monotonic() > deadline:
            return findings
        time.sleep(1)


def searched(stack: Stack, where: Databases) -> Finding:
    with closing(open_engine(place(stack.config))) as engine:
        return search_equals_documents(where, engine)


def write_report(outcome: Outcome, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    path.with_suffix(".txt").write_text("\n".join(outcome.lines()) + "\n")


def _one(connection: psycopg.Connection[tuple[Any, ...]], query: str, parameters: list[object] | None = None) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]
