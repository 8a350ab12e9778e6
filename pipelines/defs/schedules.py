"""When what runs by itself: a backstop for the resident workers, which keep everything fresh, and what takes long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    define_asset_job,
    in_process_executor,
)


@dataclass(frozen=True, slots=True)
class Rota:
    """One job and when it runs, in UTC."""

    name: str
    cron: str
    description: str
    selection: AssetSelection
    days_back: int | None = None
    """Of a job over days: which day each run is about, 1 for the day before."""


def build(rotas: list[Rota]) -> tuple[list[Any], list[ScheduleDefinition]]:
    """A job and a running schedule for each. Steps run in the run's own process: a process a step costs 150 MB each."""
    jobs, schedules = [], []
    for rota in rotas:
        job = define_asset_job(
            rota.name, selection=rota.selection, description=rota.description, executor_def=in_process_executor
        )
        jobs.append(job)
        schedules.append(
            ScheduleDefinition(
                name=f"{rota.name}_schedule",
                job=job,
                cron_schedule=rota.cron,
                execution_timezone="UTC",
                execution_fn=_of_a_day(rota) if rota.days_back is not None else None,
                default_status=DefaultScheduleStatus.RUNNING,
                description=rota.description,
            )
        )
    return jobs, schedules


def _of_a_day(rota: Rota) -> Callable[[ScheduleEvaluationContext], RunRequest]:
    def request(context: ScheduleEvaluationContext) -> RunRequest:
        day = (context.scheduled_execution_time - timedelta(days=rota.days_back or 0)).date().isoformat()
        return RunRequest(run_key=f"{rota.name} {day}", partition_key=day)

    return request


BACKSTOP: Final = "7 * * * *"
NIGHTLY: Final = "30 1 * * *"
"""After midnight UTC, when the day of ``ops.as_of`` has moved."""

LAKE: Final = "15 0 * * *"
MAINTENANCE: Final = "15 2 * * *"
RECONCILE: Final = "30 3 * * *"
RETENTION: Final = "45 4 * * *"
