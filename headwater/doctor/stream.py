"""Checks of the stream: slots, gaps, WAL that piles up, items that were parked."""

from __future__ import annotations

from headwater.doctor.findings import Finding, Patient, check
from headwater.status import size

RETAINED_BYTES = 2 * 1024**3


@check
def databases(patient: Patient) -> list[Finding]:
    """Every database that status asks gives an answer."""
    if patient.supervisor is None:
        return []
    return [Finding(problem, "headwater down && headwater up") for problem in patient.status["problems"]]


@check
def slots(patient: Patient) -> list[Finding]:
    """Each source has a slot for landing and one for dispatch, and PostgreSQL still keeps their WAL."""
    report = patient.status
    if patient.config is None or not _answers(patient):
        return []
    found = []
    for source in patient.config.source_databases():
        for reader in ("landing", "dispatch"):
            slot = next((row for row in report["sources"] if row["source"] == source and reader in row["slot"]), None)
            command = f"headwater repair {source}"
            if slot is None:
                what = f"Source {source} has no slot for {reader}: changes since it was dropped are missing downstream."
                found.append(Finding(what, command))
            elif slot["wal_status"] == "lost":
                what = f"PostgreSQL removed WAL that slot {slot['slot']} of {source} still needed: changes are missing."
                found.append(Finding(what, command))
    return found


@check
def gaps(patient: Patient) -> list[Finding]:
    """Landing has stopped at no source."""
    return [
        Finding(f"Landing of {sink['source']} stopped: {sink['error']}", f"headwater repair {sink['source']}")
        for sink in patient.status["sinks"]
        if sink["sink"] == "landing" and sink["state"] == "stopped"
    ]


@check
def piling(patient: Patient) -> list[Finding]:
    """No reader leaves so much WAL unread that the disk, or the slot's limit, is in danger."""
    found = []
    for row in patient.status["sources"]:
        if row["retained_bytes"] > RETAINED_BYTES:
            reader = "landing" if "landing" in row["slot"] else "dispatch"
            what = f"{size(row['retained_bytes'])} of WAL wait for slot {row['slot']} of {row['source']}."
            found.append(Finding(what, f"read .headwater/logs/{reader}.log; it reads on as soon as it can"))
    return found


@check
def parked(patient: Patient) -> list[Finding]:
    """Nothing was set aside because it could not be applied."""
    counts = patient.status["parked"]
    named = {
        "changes": "changes that the mirror refused",
        "keys": "keys that a mart refused",
        "events": "events that a service refused",
    }
    found = [
        Finding(f"{counts[kind]} {what} are parked.", "headwater parked list, then headwater parked replay")
        for kind, what in named.items()
        if counts[kind]
    ]
    if counts["malformed"]:
        what = f"{counts['malformed']} outbox rows are no events and were kept aside."
        found.append(Finding(what, "headwater parked list; correct the producer that wrote them"))
    return found


def _answers(patient: Patient) -> bool:
    return patient.supervisor is not None and not any(
        problem.startswith("sources") for problem in patient.status["problems"]
    )
