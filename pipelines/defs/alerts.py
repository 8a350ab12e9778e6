"""Tells people of failed runs and failed checks, once each, however long a failure lasts a reminder a day."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DefaultSensorStatus,
    EventLogRecord,
    EventRecordsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from pipelines.defs.plant import Plant
from pipelines.delivery import Alert, deliver

EVERY_SECONDS: Final = 30
REMIND_SECONDS: Final = 24 * 3600.0
AT_ONCE: Final = 200
"""Events of a kind read in one evaluation; the next one reads on."""

NAME: Final = "alerts"


@dataclass(slots=True)
class Memory:
    """The sensor's cursor: the last events seen, and for each check that fails when it was last told of."""

    run: int = 0
    check: int = 0
    failing: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> Memory | None:
        return None if cursor is None else cls(**json.loads(cursor))

    def write(self) -> str:
        return json.dumps(asdict(self))


def alerts(plant: Plant) -> SensorDefinition:
    @sensor(
        name=NAME,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Tells people of failed runs and checks (HEADWATER_ALERT_MAIL, HEADWATER_ALERT_WEBHOOK).",
    )
    def sense(context: SensorEvaluationContext) -> SensorResult:
        found, memory = collect(context.instance, Memory.read(context.cursor), datetime.now(UTC), plant.address)
        for alert in found:
            # An alert that is not delivered fails this evaluation: the cursor stays, and all of them are sent again.
            deliver(alert, plant.channels)
        said = f"{len(found)} alerts to {', '.join(plant.channels.names) or 'nobody: no channel is set'}"
        return SensorResult(skip_reason=SkipReason(said), cursor=memory.write())

    return sense


def collect(
    instance: DagsterInstance, memory: Memory | None, now: datetime, address: str
) -> tuple[list[Alert], Memory]:
    """What is to be told since ``memory``; without one, everything so far is past and not told of."""
    if memory is None:
        ends = [_records(instance, kind, None, 1, ascending=False) for kind in (_RUN, _CHECK)]
        run, check = (records[0].storage_id if records else 0 for records in ends)
        return [], Memory(run, check)
    memory = Memory(memory.run, memory.check, dict(memory.failing))
    failed_runs = _records(instance, _RUN, memory.run, AT_ONCE)
    evaluated = _records(instance, _CHECK, memory.check, AT_ONCE)
    memory.run = max([memory.run, *(record.storage_id for record in failed_runs)])
    memory.check = max([memory.check, *(record.storage_id for record in evaluated)])
    failed = list(_newly_failing(evaluated, memory, now))
    found = [_of_run(instance.get_run_by_id(record.run_id), record, address) for record in failed_runs]
    return found + list(_of_checks(failed, address)), memory


_RUN: Final = DagsterEventType.RUN_FAILURE
_CHECK: Final = DagsterEventType.ASSET_CHECK_EVALUATION


def _records(
    instance: DagsterInstance, kind: DagsterEventType, after: int | None, limit: int, *, ascending: bool = True
) -> list[EventLogRecord]:
    wanted = EventRecordsFilter(event_type=kind, after_cursor=after)
    return list(instance.event_log_storage.get_event_records(wanted, limit=limit, ascending=ascending))


@dataclass(frozen=True, slots=True)
class _Failed:
    run_id: str
    name: str
    asset: str
    metadata: Mapping[str, Any]


def _newly_failing(records: Iterable[EventLogRecord], memory: Memory, now: datetime) -> Iterator[_Failed]:
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = None if event is None else event.event_specific_data
        if not isinstance(evaluation, AssetCheckEvaluation):
            continue
        asset = evaluation.asset_key.to_user_string()
        key = f"{asset}:{evaluation.check_name}"
        if evaluation.passed or evaluation.severity is not AssetCheckSeverity.ERROR:
            memory.failing.pop(key, None)
        elif now.timestamp() - memory.failing.get(key, 0.0) >= REMIND_SECONDS:
            memory.failing[key] = now.timestamp()
            yield _Failed(record.run_id, evaluation.check_name, asset, evaluation.metadata)


def _of_run(run: DagsterRun | None, record: EventLogRecord, address: str) -> Alert:
    job = run.job_name if run else "a run that was deleted since"
    words = record.event_log_entry.dagster_event
    why = (words.message if words and words.message else record.event_log_entry.user_message) or "no reason was given"
    url = f"{address}/runs/{record.run_id}"
    return Alert(
        subject=f"Run of {job} failed",
        body=f"{why}\n\nIt may be started again as it is; what it had done stands.\n{url}\n",
        fingerprint=f"run-{record.run_id}",
        facts={"kind": "run", "job": job, "run_id": record.run_id, "url": url},
    )


def _of_checks(failed: list[_Failed], address: str) -> Iterator[Alert]:
    """One alert for all checks that failed in one run."""
    for run_id in dict.fromkeys(one.run_id for one in failed):
        checks = [one for one in failed if one.run_id == run_id]
        lines = [f"- {one.name} of {one.asset}{_metadata(one.metadata)}" for one in checks]
        first = f"{checks[0].name} of {checks[0].asset}"
        more = f" and {len(checks) - 1} more checks" if len(checks) > 1 else ""
        url = f"{address}/assets/{checks[0].asset}?view=checks"
        yield Alert(
            subject=f"{first}{more} failed",
            body="\n".join(lines) + f"\n\n{url}\n",
            fingerprint=f"checks-{run_id}",
            facts={
                "kind": "check",
                "checks": [{"asset": one.asset, "check": one.name} for one in checks],
                "run_id": run_id,
                "url": url,
            },
        )


def _metadata(metadata: Mapping[str, Any]) -> str:
    return "".join(f"\n    {name}: {str(value.value)[:500]}" for name, value in metadata.items())
