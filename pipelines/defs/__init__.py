"""Dagster's definitions: assets from source table to mart, their checks, when they run, and who is told of failures."""

from __future__ import annotations

from dagster import AssetSelection, Definitions, in_process_executor

from pipelines.defs import checks, dbt, readers, resnapshots, retention, schedules, stream
from pipelines.defs.alerts import alerts
from pipelines.defs.catalogue import load
from pipelines.defs.log import TERSE
from pipelines.defs.plant import Plant
from pipelines.defs.schedules import BACKSTOP, LAKE, MAINTENANCE, NIGHTLY, RECONCILE, RETENTION, Rota

__all__ = ["Plant", "definitions"]


def definitions(plant: Plant) -> Definitions:
    """Everything, for one installation. Reads ``plant.manifest`` and no database."""
    catalogue = load(plant.manifest)
    landing, hot_lane = stream.landing(plant, catalogue), stream.hot_lane(plant, catalogue)
    models = dbt.assets(plant, catalogue)
    pruned = retention.assets(plant)
    lake, lake_files, search = readers.lake(plant), readers.lake_files(plant), readers.search(plant)
    drift, mirrors, identities, freshness = checks.definitions(plant, catalogue)
    jobs, crons = schedules.build(
        [
            Rota(
                "backstop",
                BACKSTOP,
                "Drains landing, the hot lane and search where no worker does, and looks whether all is fresh.",
                AssetSelection.assets(landing, hot_lane, search).without_checks() | AssetSelection.checks(freshness),
            ),
            Rota(
                "nightly",
                NIGHTLY,
                "Builds every model anew with all tests, and compares hot marts with what a rebuild holds.",
                AssetSelection.assets(models) | AssetSelection.checks(drift, identities),
            ),
            Rota(
                "reconcile",
                RECONCILE,
                "Compares every mirror with its source table.",
                AssetSelection.checks(mirrors),
            ),
            Rota(
                "lake",
                LAKE,
                "Loads what waits for the lake, and compares yesterday of the change log with it.",
                AssetSelection.assets(lake).without_checks(),
                days_back=1,
            ),
            Rota("lake_maintenance", MAINTENANCE, "Keeps the lake's files few.", AssetSelection.assets(lake_files)),
            Rota("retention", RETENTION, "Deletes runs and events past their days.", AssetSelection.assets(pruned)),
        ]
    )
    return Definitions(
        assets=[
            *stream.source_specs(catalogue),
            landing,
            resnapshots.assets(plant, catalogue),
            hot_lane,
            models,
            lake,
            lake_files,
            search,
            pruned,
        ],
        asset_checks=[drift, mirrors, identities, freshness],
        jobs=jobs,
        schedules=crons,
        sensors=[alerts(plant)],
        executor=in_process_executor,
        loggers=TERSE,
    )
