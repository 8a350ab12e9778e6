"""A move between profiles that was begun and not finished."""

from __future__ import annotations

from headwater.doctor.findings import Finding, Patient, check
from headwater.migration.state import pending


@check
def migration(patient: Patient) -> list[Finding]:
    """The installation is of one profile, wholly."""
    move = pending(patient.home)
    return [] if move is None else [Finding(str(move), move.command)]
