"""Checks of search: the engine answers, every index stands, no document was refused, the sync keeps up."""

from __future__ import annotations

from headwater.doctor.findings import Finding, Patient, check
from headwater.status import age

LATE = 60.0
"""Seconds that the oldest batch waits for search, which takes one, before somebody should look."""


@check
def search_indexes(patient: Patient) -> list[Finding]:
    """Each entity has a readable index, and the engine took every document."""
    if patient.supervisor is None or not (report := patient.status["search"]):
        return []
    log = patient.home.log("search")
    if report["problem"]:
        what = f"Search waits: {report['problem']} What lands meanwhile is kept and written when it answers."
        return [Finding(what, "start it, or correct HEADWATER_SEARCH_URL and HEADWATER_SEARCH_KEY")]
    found = [
        Finding(
            f"The search index of {index['entity']} cannot be searched: {index['problem']}. It is built by itself.",
            f"wait, and read {log} if it stays so",
        )
        for index in report["indexes"]
        if index["problem"]
    ]
    if report["refused"]:
        what = f"{report['refused']} documents were refused by {report['engine']} and cannot be found."
        found.append(Finding(what, "headwater reconcile search, which names them; correct the rows that they are of"))
    return found


@check
def search_keeps_up(patient: Patient) -> list[Finding]:
    """What landed can be found within seconds."""
    if patient.supervisor is None:
        return []
    return [
        Finding(
            f"Search is {age(row['oldest_seconds'])} behind, {row['pending']} batches wait.",
            f"read {patient.home.log('search')}; it goes on by itself once the cause is gone",
        )
        for row in patient.status["sinks"]
        if row["sink"] == "search" and (row.get("oldest_seconds") or 0.0) > LATE
    ]
