"""Checks of data beyond dbt's tests: drift of hot marts, mirrors against their sources, identities, freshness."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    MetadataValue,
    multi_asset_check,
)

from pipelines.defs import keys
from pipelines.defs.catalogue import Catalogue
from pipelines.defs.identities import IDENTITIES, Identity
from pipelines.defs.plant import Plant
from pipelines.defs.readers import key_of
from pipelines.landing import reconcile
from pipelines.landing.errors import LandingError
from pipelines.observing import landed, queue_of
from pipelines.refresh.drift import TooFarBehind
from pipelines.refresh.drift import compare as compare_mart
from pipelines.refresh.program import load as load_program
from search.entities import ENTITIES

STALE_SECONDS: Final = 300.0
"""What is seconds-fresh by promise is called stale after this long, so that a restart is no alarm."""

DRIFT: Final = "equals_full_rebuild"
MIRROR: Final = "equals_source"
FRESHNESS: Final = "is_fresh"


def definitions(plant: Plant, catalogue: Catalogue) -> list[AssetChecksDefinition]:
    return [_drift(plant, catalogue), _mirrors(plant, catalogue), _identities(plant), _freshness(plant)]


def _drift(plant: Plant, catalogue: Catalogue) -> AssetChecksDefinition:
    models = {
        AssetCheckKey(keys.of_relation(model.schema, model.name), DRIFT): model.name
        for model in catalogue.models.values()
        if model.hot
    }

    @multi_asset_check(
        name="compare_marts",
        specs=[
            AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                description="Row by row what dbt would build now; keys that wait for the hot lane are left out.",
            )
            for key in models
        ],
        can_subset=True,
        pool="dbt",
    )
    def drift(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        wanted = {models[key]: key for key in context.selected_asset_check_keys}
        program = load_program(plant.manifest)
        for model in program.models:
            if model.name not in wanted:
                continue
            key = wanted[model.name]
            try:
                (found,) = compare_mart(plant.warehouse_dsn, program, [model.name])
            except (TooFarBehind, psycopg.Error) as error:
                yield _unanswered(key, error)
                continue
            yield AssetCheckResult(
                passed=found.is_equal,
                asset_key=key.asset_key,
                check_name=key.name,
                metadata={
                    "rows": found.rows,
                    "rows of a rebuild": found.rebuilt_rows,
                    "keys left out": found.left_out,
                    "seconds": found.seconds,
                    **_named("rows lacking, by key", found.lacking),
                    **_named("rows in excess, by key", found.excess),
                    **_advice(found.is_equal, f"headwater rebuild {found.model}"),
                },
            )

    return drift


def _mirrors(plant: Plant, catalogue: Catalogue) -> AssetChecksDefinition:
    mirrors = {
        AssetCheckKey(keys.of_relation(source.schema, source.name), MIRROR): source for source in catalogue.mirrors
    }

    @multi_asset_check(
        name="compare_mirrors",
        specs=[
            AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                description=(
                    "The mirror has the source's rows, by count and by hash of every row; of a table with more than"
                    f" {reconcile.WHOLE_ROWS:,} rows another share each day."
                ),
            )
            for key in mirrors
        ],
        can_subset=True,
    )
    def equals_source(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        today = datetime.now(UTC).date()
        for key in sorted(context.selected_asset_check_keys, key=str):
            table = mirrors[key].table
            try:
                found = reconcile.compare(plant.source(table), plant.warehouse_dsn, table, today=today)
            except (LandingError, psycopg.Error) as error:
                yield _unanswered(key, error)
                continue
            part, of = found.share
            yield AssetCheckResult(
                passed=found.is_equal,
                asset_key=key.asset_key,
                check_name=key.name,
                # What has not landed is no error of the mirror; freshness tells of that.
                severity=AssetCheckSeverity.ERROR if found.reached else AssetCheckSeverity.WARN,
                metadata={
                    "rows at the source": found.source_rows,
                    "rows of the mirror": found.mirror_rows,
                    "rows compared": found.compared,
                    "share": f"{part} of {of}",
                    "landing reached the source": found.reached,
                    "seconds": found.seconds,
                    **_named("differing keys", found.differing),
                    **_advice(found.is_equal, f"materialise log/snapshot, partition {table}: reads the table again"),
                },
            )

    return equals_source


def _identities(plant: Plant) -> AssetChecksDefinition:
    by_key = {AssetCheckKey(keys.of_relation(*one.relation), one.name): one for one in IDENTITIES}

    @multi_asset_check(
        name="verify_identities",
        specs=[
            AssetCheckSpec(one.name, asset=keys.of_relation(*one.relation), description=one.description)
            for one in IDENTITIES
        ],
        can_subset=True,
    )
    def identities(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        with psycopg.connect(plant.warehouse_dsn, autocommit=True, options="-c statement_timeout=300s") as warehouse:
            for key in sorted(context.selected_asset_check_keys, key=str):
                yield _hold(warehouse, by_key[key], key)

    return identities


def _hold(warehouse: psycopg.Connection[Any], identity: Identity, key: AssetCheckKey) -> AssetCheckResult:
    try:
        broken = [str(row[0]) for row in warehouse.execute(identity.broken.encode()).fetchmany(reconcile.SHOWN)]
    except psycopg.Error as error:
        return _unanswered(key, error)
    return AssetCheckResult(
        passed=not broken,
        asset_key=key.asset_key,
        check_name=key.name,
        metadata={"broken for": len(broken), **_named("keys", broken)},
    )


def _freshness(plant: Plant) -> AssetChecksDefinition:
    consumers = {keys.HOT_LANE: "refresh", keys.LAKE: "lake"} | {key_of(e.name): "search" for e in ENTITIES}

    @multi_asset_check(
        name="verify_freshness",
        specs=[
            AssetCheckSpec(
                FRESHNESS,
                asset=key,
                description=f"Nothing that was committed waits for more than {STALE_SECONDS / 60:.0f} minutes.",
            )
            for key in (keys.CHANGE_LOG, *consumers)
        ],
        can_subset=True,
    )
    def freshness(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        with psycopg.connect(plant.warehouse_dsn, autocommit=True) as warehouse:
            for key in sorted(context.selected_asset_check_keys, key=str):
                if key.asset_key == keys.CHANGE_LOG:
                    yield _landing_is_fresh(plant, warehouse, key)
                else:
                    waiting, oldest = queue_of(warehouse, consumers[key.asset_key])
                    yield AssetCheckResult(
                        passed=oldest <= STALE_SECONDS,
                        asset_key=key.asset_key,
                        check_name=key.name,
                        metadata={"batches waiting": waiting, "oldest, seconds": round(oldest, 1)},
                    )

    return freshness


def _landing_is_fresh(plant: Plant, warehouse: psycopg.Connection[Any], key: AssetCheckKey) -> AssetCheckResult:
    """A source is stale when it has committed what has not landed, or landing has stopped. Idle sources are fresh."""
    stale, seen = [], landed(warehouse)
    for database in plant.sources:
        state = seen.get(database.name, {})
        try:
            behind = reconcile.seconds_behind(database, warehouse)
        except psycopg.Error as error:
            stale.append(f"{database.name}: {str(error).strip()}")
            continue
        if state.get("state") == "stopped":
            stale.append(f"{database.name}: landing stopped: {state.get('error')}")
        elif behind > STALE_SECONDS:
            stale.append(f"{database.name}: {behind:.0f} s behind its source")
    metadata = {name: MetadataValue.json({k: str(v) for k, v in state.items()}) for name, state in seen.items()}
    return AssetCheckResult(
        passed=not stale,
        asset_key=key.asset_key,
        check_name=key.name,
        metadata={**metadata, **_named("stale", stale), **_advice(not stale, "headwater doctor")},
    )


def _unanswered(key: AssetCheckKey, error: Exception) -> AssetCheckResult:
    """Neither right nor wrong: it could not be compared."""
    return AssetCheckResult(
        passed=False,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=AssetCheckSeverity.WARN,
        metadata={"not compared": str(error).strip()},
    )


def _named(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {name: ", ".join(values)} if values else {}


def _advice(passed: bool, command: str) -> dict[str, Any]:
    return {} if passed else {"what mends it": command}
