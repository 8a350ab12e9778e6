"""Landing and the hot lane as assets that drain to now and stop, by the code and under the lease of their workers."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    MetadataValue,
    multi_asset,
)

from pipelines.defs import keys
from pipelines.defs.catalogue import Catalogue, Source
from pipelines.defs.plant import Plant
from pipelines.landing.errors import SourceTaken
from pipelines.landing.worker import drain as drain_landing
from pipelines.observing import landed, mirror_rows, refreshed
from pipelines.refresh.errors import LaneTaken
from pipelines.refresh.worker import drain as drain_refresh
from pipelines.runtime import Heartbeat

OWNER: Final = "team:data-platform"
RESIDENT: Final = "resident worker is doing it"
HERE: Final = "this run"

Metadata = Mapping[str, Any]


def source_specs(catalogue: Catalogue) -> list[AssetSpec]:
    """The services' own tables: where lineage begins. Nothing here writes them."""
    return [
        AssetSpec(
            keys.of_source(source.schema, source.name),
            description=f"{source.description} The service's own table; only its commands write it.",
            group_name="sources",
            owners=[f"team:{source.schema.removeprefix('raw_')}"],
            kinds={"postgres", "django"},
        )
        for source in catalogue.mirrors
    ] + [
        AssetSpec(
            keys.of_relation(source.schema, source.name),
            description=source.description,
            group_name="hot_lane",
            owners=[OWNER],
            kinds={"postgres"},
        )
        for source in catalogue.sources.values()
        if not source.is_mirror
    ]


def landing(plant: Plant, catalogue: Catalogue) -> AssetsDefinition:
    mirrors = {keys.of_relation(source.schema, source.name): source for source in catalogue.mirrors}

    @multi_asset(
        name="landing",
        specs=[
            *(_mirror_spec(source) for source in catalogue.mirrors),
            AssetSpec(
                keys.CHANGE_LOG,
                deps=[keys.of_source(source.schema, source.name) for source in catalogue.mirrors],
                description="Every change of every source table, once, with images before and after; kept 35 days.",
                group_name="landing",
                owners=[OWNER],
                kinds={"postgres", "table"},
                metadata={"dagster/relation_identifier": "warehouse.log.change_log"},
            ),
        ],
        can_subset=True,
        op_tags={"headwater/kind": "drain"},
    )
    def land(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any]]:
        """Whichever mirrors are chosen: a source's stream is one, and lands whole."""
        by: dict[str, Metadata] = {}
        for database in plant.sources:
            heartbeat = Heartbeat(plant.run / f"landing-drain-{database.name}.json", "landing drain")
            try:
                drain_landing(database, plant.warehouse_dsn, heartbeat, threading.Event())
                by[database.name] = {"by": HERE, **heartbeat.counted()}
            except SourceTaken as taken:
                context.log.info(f"{RESIDENT}: {taken}")
                by[database.name] = {"by": RESIDENT}
            finally:
                (plant.run / f"landing-drain-{database.name}.json").unlink(missing_ok=True)
        with psycopg.connect(plant.warehouse_dsn, autocommit=True) as warehouse:
            seen = landed(warehouse)
            for key in sorted(context.op_execution_context.selected_asset_keys):
                if key in mirrors:
                    source = mirrors[key]
                    name = plant.source(source.table).name
                    rows = mirror_rows(warehouse, source.schema, source.name)
                    yield MaterializeResult(key, metadata={**by[name], **seen.get(name, {}), **rows})
                else:
                    yield MaterializeResult(key, metadata=_joined(by, seen))

    return land


def hot_lane(plant: Plant, catalogue: Catalogue) -> AssetsDefinition:
    hot = [model for model in catalogue.models.values() if model.hot]

    @multi_asset(
        name="refresh",
        specs=[
            AssetSpec(
                keys.HOT_LANE,
                deps=[keys.CHANGE_LOG],
                description=(
                    "How far the hot lane has refreshed each hot mart. Materialising it refreshes them for every key"
                    " that waiting batches touched."
                ),
                group_name="hot_lane",
                owners=[OWNER],
                kinds={"postgres", "table"},
                metadata={"dagster/relation_identifier": "warehouse.ops.model_state"},
            )
        ],
        op_tags={"headwater/kind": "drain"},
    )
    def refresh(context: AssetExecutionContext) -> Iterator[AssetMaterialization | MaterializeResult[Any]]:
        done: dict[str, Any]
        try:
            passes = drain_refresh(plant.warehouse_dsn, plant.hot)
            done = {"by": HERE, "passes": len(passes)}
            for counted in ("batches", "keys", "parked"):
                done[counted] = sum(getattr(one, counted) for one in passes)
            done["rebuilt"] = sorted({name for one in passes for name in one.rebuilt})
        except LaneTaken as taken:
            context.log.info(f"{RESIDENT}: {taken}")
            done = {"by": RESIDENT}
        with psycopg.connect(plant.warehouse_dsn, autocommit=True) as warehouse:
            seen = refreshed(warehouse)
        for model in hot:
            if model.name in seen:
                context.log_event(
                    AssetMaterialization(
                        keys.of_relation(model.schema, model.name), metadata={"by": done["by"], **seen[model.name]}
                    )
                )
        yield MaterializeResult(keys.HOT_LANE, metadata=done)

    return refresh


def _mirror_spec(source: Source) -> AssetSpec:
    return AssetSpec(
        keys.of_relation(source.schema, source.name),
        deps=[keys.of_source(source.schema, source.name)],
        description=f"{source.description} Mirror of the service's table to the last landed batch.",
        group_name="mirror",
        owners=[OWNER],
        kinds={"postgres", "table"},
        metadata={"dagster/relation_identifier": f"warehouse.{source.schema}.{source.name}"},
    )


def _joined(by: Mapping[str, Metadata], seen: Mapping[str, Metadata]) -> Metadata:
    """One line for each source, under its name."""
    return {f"source {name}": MetadataValue.json({**by[name], **_plain(seen.get(name, {}))}) for name in sorted(by)}


def _plain(metadata: Metadata) -> dict[str, Any]:
    return {name: str(value.value if hasattr(value, "value") else value) for name, value in metadata.items()}


def mirror_keys(catalogue: Catalogue) -> list[AssetKey]:
    return [keys.of_relation(source.schema, source.name) for source in catalogue.mirrors]
