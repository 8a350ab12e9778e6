"""Checks of the stream: slots, gaps, WAL that piles up, items that were parked."""

from __future__ import annotations

import psycopg

from headwater.config import elsewhere
from headwater.doctor.findings import Finding, Patient, check
from headwater.status import TIMEOUT, size
from headwater.supervisor.kinds import kind

RETAINED_BYTES = 2 * 1024**3

BEHIND_SECONDS = 60.0
"""An idle reader stores its position every ten seconds, a busy one several times a second."""


@check
def databases(patient: Patient) -> list[Finding]:
    """Every database that status asks gives an answer."""
    if patient.supervisor is None and elsewhere() is None:
        return []
    return [Finding(problem, "headwater down && headwater up") for problem in patient.status["problems"]]


@check
def slots(patient: Patient) -> list[Finding]:
    """Each source has a slot for landing and one for dispatch, and PostgreSQL still keeps their WAL."""
    report = patient.status
    if patient.config is None or (patient.supervisor is None and elsewhere() is None):
        return []
    found = []
    for source in patient.config.source_databases():
        if any(problem.startswith(f"source {source}:") for problem in report["problems"]):
            continue  # nobody knows its slots: a finding of its own
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


WAITED_FOR = """
select distinct trim(name)
from unnest(string_to_array(current_setting('synchronized_standby_slots', true), ',')) name
where not exists (select from pg_replication_slots where slot_name = trim(name) and active)
order by 1
"""


@check
def standbys(patient: Patient) -> list[Finding]:
    """No server holds back what was committed until a standby has it that is away.

    PostgreSQL says so in its own log alone; its readers see a source that is quiet.
    """
    if patient.config is None or (patient.supervisor is None and elsewhere() is None):
        return []
    found = {}
    for source, services in patient.config.source_databases().items():
        url = patient.config.service_url(services[0], role="postgres")
        try:
            with psycopg.connect(f"{url}?{TIMEOUT}") as connection:
                address = f"{connection.info.host}:{connection.info.port}"
                for (slot,) in connection.execute(WAITED_FOR.encode()):
                    what = (
                        f"The server of {source} at {address} streams nothing: it waits for the standby of slot {slot}"
                        " (synchronized_standby_slots), and none reads it."
                    )
                    command = "start that standby, or: alter system set synchronized_standby_slots = …; without it"
                    found[address, slot] = Finding(what, command)
        except psycopg.Error:
            continue  # a finding of its own
    return list(found.values())


@check
def gaps(patient: Patient) -> list[Finding]:
    """Landing has stopped at no source."""
    return [
        Finding(f"Landing of {sink['source']} stopped: {sink['error']}", f"headwater repair {sink['source']}")
        for sink in patient.status["sinks"]
        if sink["sink"] == "landing" and sink["state"] == "stopped"
    ]


@check
def behind(patient: Patient) -> list[Finding]:
    """Landing that says it streams moves on.

    A reader that stands still without an error looks like any other; only its position tells.
    """
    own = patient.status["processes"] if patient.supervisor is not None else []
    workers = [one for one in own if kind(one["name"]) == "landing" and one["pid"]]
    again = f", or kill {' '.join(str(one['pid']) for one in workers)}, and it begins again" if workers else ""
    return [
        Finding(
            f"Landing of {sink['source']} streams, but is {sink['lag_seconds']:.0f} s behind its source.",
            f"wait if it catches up (headwater status); if not, read {patient.home.log('landing')}{again}",
        )
        for sink in patient.status["sinks"]
        if sink["sink"] == "landing" and sink["state"] == "streaming" and (sink["lag_seconds"] or 0) > BEHIND_SECONDS
    ]


@check
def schema_changes(patient: Patient) -> list[Finding]:
    """Every source's stream tells of its schema changes by itself."""
    return [
        Finding(
            f"Schema changes of {sink['source']} are found by polling its catalogue, the weaker mode: their order "
            "among rows in flight is not known, and each has its table read again.",
            "headwater prepare databases, without HEADWATER_SCHEMA_CHANGES=polling, installs the event trigger; where "
            "the server forbids it, the mode stays (docs/decisions/0024)",
        )
        for sink in patient.status["sinks"]
        if sink["sink"] == "landing" and sink["schema_changes"] == "polling"
    ]


UNMENDED = """
select s.schema_name || '.' || s.table_name as name, problem ->> 'view' as view, problem ->> 'policy' as policy,
  problem ->> 'table' as hidden, problem ->> 'reason' as reason
from log.schema_change s
cross join lateral jsonb_array_elements(s.problems) problem
where case
  when problem ? 'view' then to_regclass(problem ->> 'view') is null
  when problem ? 'policy' then not exists (
    select from pg_policy where polrelid = to_regclass(problem ->> 'table') and polname = problem ->> 'policy')
  else not exists (
    select from log.schema_change later
    where later.source = s.source and later.relid = s.relid and later.applied_at > s.applied_at
      and later.problems = '[]')
  end
order by s.applied_at
"""


@check
def mirrors(patient: Patient) -> list[Finding]:
    """Mirrors, and the views and policies on them, have followed every schema change of their sources."""
    if patient.config is None or patient.supervisor is None:
        return []
    try:
        with psycopg.connect(f"{patient.config.warehouse_url()}?{TIMEOUT}") as warehouse:
            unmended = warehouse.execute(UNMENDED.encode()).fetchall()
    except psycopg.Error:
        return []  # a finding of its own
    found = []
    for name, view, policy, hidden, reason in unmended:
        if view is not None:
            found.append(Finding(f"View {view} did not survive a change of {name}: {reason}", "headwater rebuild"))
        elif policy is not None:
            what = f"Row security of {hidden} did not survive a change of {name}, so it shows nothing: {reason}"
            found.append(Finding(what, "headwater rebuild"))
        else:
            what = f"The mirror of {name} could not follow its table: {reason}"
            found.append(Finding(what, "remove what is in the way in the warehouse, then headwater repair"))
    return found


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
        "records": "records of Kafka that could not be read",
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
