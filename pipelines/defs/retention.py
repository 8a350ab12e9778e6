"""Keeps Dagster's storage small: runs with their events, and events of resident workers, past their days."""

from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    DagsterInstance,
    DagsterRunStatus,
    MaterializeResult,
    RunsFilter,
    asset,
)

from pipelines.defs.plant import Plant
from pipelines.defs.stream import OWNER

KEY: Final = AssetKey(["dagster", "event_logs"])
RUN_DAYS: Final = 30
RUNLESS_DAYS: Final = 7
"""A worker that reports each minute leaves 1,440 events a day for each asset."""

AT_ONCE: Final = 100
_ENDED: Final = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

_PRUNE: Final = """
delete from event_logs
where run_id = '' and "timestamp" < %s and id not in (
    select max(id) from event_logs where run_id = '' group by dagster_event_type, asset_key, partition
)
"""
_ORPHANED_TAGS: Final = "delete from asset_event_tags where not exists (select from event_logs e where e.id = event_id)"


def prune(instance: DagsterInstance, storage_dsn: str, now: datetime) -> tuple[int, int]:
    """Deletes what is past its days; how many runs and how many events of workers. The last event of each asset stays,
    so that no asset looks as if it had never been."""
    runs = 0
    old = RunsFilter(statuses=_ENDED, updated_before=now - timedelta(days=RUN_DAYS))
    while found := instance.get_run_records(old, limit=AT_ONCE):
        for record in found:
            instance.delete_run(record.dagster_run.run_id)
            runs += 1
    with psycopg.connect(storage_dsn, autocommit=True) as storage, storage.transaction():
        # Dagster writes the column as UTC without a time zone.
        before = (now.astimezone(UTC) - timedelta(days=RUNLESS_DAYS)).replace(tzinfo=None)
        events = storage.execute(_PRUNE.encode(), [before]).rowcount
        storage.execute(_ORPHANED_TAGS.encode())
    return runs, events


def assets(plant: Plant) -> AssetsDefinition:
    @asset(
        key=KEY,
        description=f"Dagster's own storage; runs are kept {RUN_DAYS} days, events of resident workers {RUNLESS_DAYS}.",
        group_name="dagster",
        owners=[OWNER],
        kinds={"postgres"},
    )
    def pruned(context: AssetExecutionContext) -> MaterializeResult[None]:
        runs, events = prune(context.instance, plant.storage_dsn, datetime.now(UTC))
        return MaterializeResult(metadata={"runs deleted": runs, "events deleted": events})

    return pruned
