"""Lake and search index as assets that drain to now and stop, by the code and under the lease of their workers.

What they need (DuckDB, the search engines) is imported by a run that uses it, not by every process of Dagster.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    DailyPartitionsDefinition,
    Failure,
    MaterializeResult,
    asset,
    multi_asset,
)

from pipelines.defs import keys
from pipelines.defs.plant import Plant
from pipelines.defs.stream import HERE, OWNER, RESIDENT
from search.entities import ENTITIES
from search.touched import TOUCHED

FIRST_DAY: Final = "2026-01-01"
"""No installation holds a change that landed earlier."""

SHOWN: Final = 20


def days() -> DailyPartitionsDefinition:
    """By the day of landing in UTC, as the change log is partitioned; today's is there from its first minute."""
    return DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)


def lake(plant: Plant) -> AssetsDefinition:
    @asset(
        key=keys.LAKE,
        deps=[keys.CHANGE_LOG],
        partitions_def=days(),
        description=(
            "Every change for ever, as Parquet files in DuckLake. Materialising a day loads what waits, then compares"
            " that day of the change log, once it is over, with the lake, change by change."
        ),
        group_name="lake",
        owners=[OWNER],
        kinds={"ducklake", "parquet"},
        pool="lake",
    )
    def changes(context: AssetExecutionContext) -> MaterializeResult[Any]:
        from pipelines.lake.errors import LakeTaken
        from pipelines.lake.worker import drain, verify

        day, place = date.fromisoformat(context.partition_key), plant.lake()
        done: dict[str, Any]
        try:
            loaded = drain(place)
            done = {"by": HERE, "batches loaded": loaded.batches, "changes loaded": loaded.changes}
        except LakeTaken as taken:
            context.log.info(f"{RESIDENT}: {taken}")
            done = {"by": RESIDENT}
        # A day that is not over goes on while it is compared.
        if day < datetime.now(UTC).date() and (missing := verify(place, day)):
            raise Failure(
                f"{day}: the lake does not hold all that the change log has. Nothing was dropped.",
                metadata={"differences": "\n".join(missing[:SHOWN])},
            )
        with place.open() as session:
            counted = session.execute(
                "select count(*), count(distinct schema_name || '.' || table_name) from lake.log.changes"
                " where landed_on = ?",
                [day],
            ).fetchone()
        rows, tables = counted or (0, 0)
        return MaterializeResult(metadata={**done, "dagster/partition_row_count": rows, "tables": tables})

    return changes


def lake_files(plant: Plant) -> AssetsDefinition:
    @asset(
        key=keys.LAKE_FILES,
        deps=[keys.LAKE],
        description=(
            "The lake's files kept few, what no snapshot needs deleted, and days of the change log dropped that are"
            " past their keeping and verified in the lake."
        ),
        group_name="lake",
        owners=[OWNER],
        kinds={"ducklake", "parquet"},
        pool="lake",
    )
    def files(context: AssetExecutionContext) -> MaterializeResult[Any]:
        from pipelines.lake.errors import Unverified
        from pipelines.lake.worker import compact, drop_verified, expire

        place = plant.lake()
        merged, expired = compact(place), expire(place)
        try:
            dropped = drop_verified(place)
        except Unverified as error:
            raise Failure(f"{error} The day stays in the change log.") from error
        return MaterializeResult(
            metadata={
                "files merged": merged,
                "snapshots expired": expired.snapshots,
                "files deleted": expired.files,
                "days dropped": ", ".join(map(str, dropped)) or "none",
            }
        )

    return files


def search(plant: Plant) -> AssetsDefinition:
    by_key = {key_of(entity.name): entity.name for entity in ENTITIES}

    @multi_asset(
        name="search",
        specs=[
            AssetSpec(
                key,
                deps=sorted(keys.of_relation(f"raw_{schema}", table) for schema, table in TOUCHED[entity]),
                description=f"Documents of kind {entity}, as the search finds them; the index takes them all together.",
                group_name="search",
                owners=[OWNER],
                kinds={"search"},
            )
            for key, entity in by_key.items()
        ],
        can_subset=True,
        pool="search",
    )
    def documents(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        """Whichever kinds are chosen: the queue is one, and is drained whole."""
        from pipelines.search.worker import drain

        passes = drain(plant.warehouse_dsn, plant.search())
        done: dict[str, Any] = {"by": HERE if passes else RESIDENT, "passes": len(passes)}
        for counted in ("batches", "put", "removed", "refused"):
            done[counted] = sum(getattr(one, counted) for one in passes)
        for key in sorted(context.op_execution_context.selected_asset_keys):
            yield MaterializeResult(key, metadata=done)

    return documents


def key_of(entity: str) -> AssetKey:
    return AssetKey(["search", entity])
