"""Dagster dies: whatever is seconds-fresh goes on without it, it comes back by itself, and goes on where it was."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg

from tests.dagster import Dagster
from tests.stack import Stack, eventually
from tests.storm.kills import DAGSTER, Killer
from tests.storm.verify import Finding

BACK = 240.0
"""Seconds for Dagster to be well again, at its low priority, while clients write on both cores."""

FRESH = 180.0
"""Seconds after which a write counts as one that will never be in its mart and found. It is a fraction of a second's
work, among all that runs; how long it took is what ``without_dagster`` returns."""

TOLD = 150.0
"""Seconds for each worker to have told Dagster what it did: once a minute, and again where the first was not taken."""

ASSETS = (("log", "change_log"), ("ops", "model_state"), ("lake", "changes"), ("search", "account"))
"""What each of the resident workers reports as materialised."""


def without_dagster(killer: Killer) -> dict[str, float]:
    """Victim → how many seconds a write took to its mart and into the search while that was dead all the time."""
    taken = {}
    for victim in DAGSTER:
        Dagster(killer.stack).await_well(BACK)
        flowed = flows(killer.stack, f"storm-absent-{uuid.uuid4().hex}")
        began = time.monotonic()
        killer.keep_dead(victim, flowed, FRESH, f"a write in its mart and found while {victim} is dead")
        taken[victim] = time.monotonic() - began
        killer.recover()
    return taken


def flows(stack: Stack, name: str) -> Callable[[], bool]:
    """Writes an account when first asked; from then on, whether it has passed landing, the hot lane and search."""
    token, written = stack.token(), []

    def arrived() -> bool:
        if not written:
            status, answer, _ = stack.call("POST", "/api/contacts/accounts", {"name": name}, token=token)
            assert status == 201, answer
            written.append(answer["account_uuid"])
        with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
            refreshed = warehouse.execute("select from marts.dim_account where account_uuid = %s", written).fetchone()
        if refreshed is None:
            return False
        status, answer, _ = stack.call("GET", f"/api/search?q={name}&entity=account", token=token)
        return status == 200 and answer["total"] == 1

    return arrived


def goes_on(stack: Stack) -> Finding:
    """After the storm: workers' reports arrive again as materialisations, and a run of several assets succeeds."""
    finding = Finding("Dagster goes on")
    dagster = Dagster(stack)
    dagster.await_well(BACK)
    since = time.time()
    eventually(flows(stack, f"storm-after-{uuid.uuid4().hex}"), FRESH, "a write after the storm in its mart and found")
    deadline = time.monotonic() + TOLD
    while (silent := [asset for asset in ASSETS if reported(dagster, asset) < since]) and time.monotonic() < deadline:
        time.sleep(1)
    finding.fault("assets of which no worker reports any more", ["/".join(asset) for asset in silent])
    ended = dagster.await_end(dagster.launch("backstop"))
    finding.fault("runs that do not succeed", [] if ended == "SUCCESS" else [f"backstop: {ended}"])
    finding.compared = len(ASSETS) + 1
    return finding


def reported(dagster: Dagster, asset: tuple[str, ...]) -> float:
    """When it was last materialised without a run, in seconds of the epoch; 0 if it never was."""
    found: dict[str, Any] = dagster.ask(
        "query($path: [String!]!) {assetOrError(assetKey: {path: $path})"
        " {... on Asset {assetMaterializations(limit: 20) {runId timestamp}}}}",
        path=list(asset),
    )
    materialized = found["assetOrError"].get("assetMaterializations", [])
    return max((float(one["timestamp"]) / 1000 for one in materialized if not one["runId"]), default=0.0)
