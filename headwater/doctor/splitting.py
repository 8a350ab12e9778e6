"""A service that is on its way to another database (``headwater split``)."""

from __future__ import annotations

import psycopg

from headwater.doctor.findings import Finding, Patient, check
from headwater.splitting.fence import is_shut
from headwater.splitting.places import places
from headwater.splitting.state import half_done
from headwater.status import TIMEOUT


@check
def splits(patient: Patient) -> list[Finding]:
    """No service has been left half way between two databases."""
    if patient.config is None:
        return []
    found = []
    for split in half_done(patient.home):
        where = places(patient.config, split.service, split.url)
        what = f"{split.service} is on its way to {split.place} since {split.begun_at}"
        command = f"headwater split {split.service}"
        if split.service in patient.config.placements:
            what += ", which it writes already; not all is done yet that belongs to it."
        else:
            command += f", or headwater split {split.service} --give-up"
            what += ", and nobody can write it." if _is_shut(where.old_dsn(), where.roles) else ", and not there yet."
        found.append(Finding(what, command))
    return found


def _is_shut(dsn: str, roles: tuple[str, str]) -> bool:
    try:
        with psycopg.connect(f"{dsn}?{TIMEOUT}") as database:
            return is_shut(database, roles)
    except psycopg.Error:
        return False  # a finding of its own
