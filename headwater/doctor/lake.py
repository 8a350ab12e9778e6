"""Checks of the lake: files that its catalogue knows are there, and the loader keeps up."""

from __future__ import annotations

import psycopg

from headwater.doctor.findings import Finding, Patient, check
from headwater.lake import lake
from headwater.status import TIMEOUT, age

LATE = 300.0
"""Seconds that the oldest change waits for the lake, which takes thirty, before somebody should look."""


@check
def lake_files(patient: Patient) -> list[Finding]:
    """Every Parquet file of the catalogue is where it should be."""
    if patient.config is None or patient.supervisor is None:
        return []
    from pipelines.lake.repairing import lost_files

    try:
        with psycopg.connect(f"{patient.config.warehouse_url()}?{TIMEOUT}") as warehouse:
            lost = lost_files(lake(patient.config), warehouse)
    except psycopg.Error:  # the warehouse's own check says so
        return []
    return [Finding(f"A file of the lake is gone: {file}.", "headwater repair lake") for file in lost]


@check
def lake_keeps_up(patient: Patient) -> list[Finding]:
    """What landed is in the lake within minutes."""
    if patient.supervisor is None:
        return []
    late = [
        row for row in patient.status["sinks"] if row["sink"] == "lake" and (row.get("oldest_seconds") or 0.0) > LATE
    ]
    log = patient.home.log("lake")
    return [
        Finding(
            f"{row['pending']} batches wait for the lake, the oldest for {age(row['oldest_seconds'])}.", f"read {log}"
        )
        for row in late
    ]
