"""Reading source tables again: one partition a table, so that a backfill reads many, one after the other."""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetsDefinition,
    Failure,
    MaterializeResult,
    StaticPartitionsDefinition,
    asset,
)

from pipelines.defs import keys
from pipelines.defs.catalogue import Catalogue
from pipelines.defs.plant import Plant
from pipelines.defs.stream import HERE, OWNER, RESIDENT
from pipelines.landing import resnapshot
from pipelines.landing.errors import SourceTaken
from pipelines.landing.worker import drain
from pipelines.observing import landed
from pipelines.runtime import Heartbeat

PATIENCE: Final = 3600.0
"""Seconds without a row that a re-read may take in the resident worker before this run gives up watching it."""


def tables(catalogue: Catalogue) -> StaticPartitionsDefinition:
    return StaticPartitionsDefinition([source.table for source in catalogue.mirrors])


def assets(plant: Plant, catalogue: Catalogue) -> AssetsDefinition:
    by_table = {source.table: source for source in catalogue.mirrors}

    @asset(
        key=keys.SNAPSHOT,
        partitions_def=tables(catalogue),
        deps=[keys.of_source(source.schema, source.name) for source in catalogue.mirrors],
        description=(
            "Reads a source table again, beside the stream: rows that the mirror lacks or has wrong are written, rows"
            " that the source no longer has are flagged. One partition a table; nothing is emptied meanwhile."
        ),
        group_name="landing",
        owners=[OWNER],
        kinds={"postgres"},
        op_tags={"headwater/kind": "resnapshot"},
        pool="resnapshot",
    )
    def snapshot(context: AssetExecutionContext) -> Iterator[AssetMaterialization | MaterializeResult[Any]]:
        table = context.partition_key
        database = plant.source(table)
        request = resnapshot.request(database, plant.warehouse_dsn, table)
        heartbeat_file = plant.run / f"landing-drain-{database.name}.json"
        by = HERE
        with psycopg.connect(plant.warehouse_dsn, autocommit=True) as warehouse:
            rows, finished = resnapshot.rows_read(warehouse, request, table)
            changed = time.monotonic()
            while not finished:
                try:
                    drain(database, plant.warehouse_dsn, Heartbeat(heartbeat_file, "landing drain"), threading.Event())
                    by = HERE
                except SourceTaken as taken:
                    if by != RESIDENT:
                        context.log.info(f"{RESIDENT}: {taken}")
                    by = RESIDENT
                    time.sleep(0.5)
                finally:
                    heartbeat_file.unlink(missing_ok=True)
                before, (rows, finished) = rows, resnapshot.rows_read(warehouse, request, table)
                if rows != before:
                    changed = time.monotonic()
                elif time.monotonic() > changed + PATIENCE:
                    raise Failure(
                        f"{table} was asked for and not read in {PATIENCE:.0f} s: `headwater status` says why landing"
                        f" of {database.name} does not go on. The request stays and will be followed."
                    )
            seen = landed(warehouse).get(database.name, {})
        source = by_table[table]
        metadata = {"by": by, "dagster/partition_row_count": rows, **seen}
        context.log_event(
            AssetMaterialization(
                keys.of_relation(source.schema, source.name),
                description="The whole table was read again.",
                metadata={"by": by, "dagster/row_count": rows, **seen},
            )
        )
        yield MaterializeResult(metadata=metadata)

    return snapshot
