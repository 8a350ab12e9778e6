"""dbt's models as assets and its tests as checks; materialising any of them is one ``dbt build`` of those.

A run that builds fails where a model could not be built or a test failed that does not merely warn: what is built on
that model was then left as it stands, and is no materialisation.
"""

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Failure,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableSchema,
    multi_asset,
)

from pipelines.defs import keys
from pipelines.defs.catalogue import Catalogue, Model, Test
from pipelines.defs.plant import Plant
from warehouse.compile import BuildReport, DbtError, NodeResult, build

DEFAULT_OWNER = "data-platform"
MESSAGE_CHARACTERS = 2000


def key_of(catalogue: Catalogue, node: str) -> AssetKey:
    """The asset of a dbt node."""
    found = catalogue.models.get(node) or catalogue.sources[node]
    return keys.of_relation(found.schema, found.name)


def model_spec(catalogue: Catalogue, model: Model) -> AssetSpec:
    tags = {"headwater/materialized": model.materialized} | ({"headwater/lane": "hot"} if model.hot else {})
    metadata: dict[str, Any] = {
        "dagster/relation_identifier": f"warehouse.{model.schema}.{model.name}",
        "dagster/column_schema": TableSchema(
            columns=[TableColumn(c.name, c.data_type or "unknown", description=c.description) for c in model.columns]
        ),
    }
    if model.access is not None:
        metadata["rows are seen by"] = model.access
    return AssetSpec(
        keys.of_relation(model.schema, model.name),
        deps=[key_of(catalogue, node) for node in model.upstream],
        description=model.description,
        group_name=model.group,
        owners=[f"team:{model.owner or DEFAULT_OWNER}"],
        kinds={"dbt", "postgres", "view" if model.materialized == "view" else "table"},
        tags=tags,
        metadata=metadata,
    )


def check_spec(catalogue: Catalogue, test: Test) -> AssetCheckSpec:
    return AssetCheckSpec(
        test.name,
        asset=key_of(catalogue, test.model),
        additional_deps=[key_of(catalogue, node) for node in test.others],
        description=test.description or None,
        metadata={"dbt test": test.node},
    )


def assets(plant: Plant, catalogue: Catalogue) -> AssetsDefinition:
    models = {key_of(catalogue, node): model for node, model in catalogue.models.items()}
    tests = {check_spec(catalogue, test).key: test for test in catalogue.tests.values()}

    @multi_asset(
        name="dbt",
        specs=[model_spec(catalogue, model) for model in catalogue.models.values()],
        check_specs=[check_spec(catalogue, test) for test in catalogue.tests.values()],
        can_subset=True,
        op_tags={"headwater/kind": "build"},
        pool="dbt",
    )
    def dbt_build(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
        selected = context.op_execution_context.selected_asset_keys
        wanted_tests = {key: tests[key] for key in context.op_execution_context.selected_asset_check_keys}
        wanted = {models[key].node: key for key in selected}
        everything = len(wanted) == len(models) and len(wanted_tests) == len(tests)
        select = [] if everything else [_selector(node) for node in (*wanted, *(t.node for t in wanted_tests.values()))]
        by_node = {test.node: key for key, test in wanted_tests.items()}
        bad: list[NodeResult] = []
        kept: list[str] = []
        for result in _events(plant, select, bool(wanted_tests)):
            if result.is_bad:
                bad.append(result)
                context.log.error(f"{result.node}: {result.message or result.status}")
            if result.node in wanted and result.is_skipped:
                kept.append(wanted[result.node].to_user_string())
                context.log.error(f"{result.node}: left as it stands")
            elif result.node in wanted and not result.is_bad:
                yield _materialized(wanted[result.node], result)
            elif result.node in by_node and not result.is_skipped:
                key = by_node[result.node]
                yield _checked(key, result, wanted_tests[key])
        if wanted and bad:
            raise _failure(bad, kept)

    return dbt_build


def _failure(bad: list[NodeResult], kept: list[str]) -> Failure:
    left = f" Left as they stand, being built on that: {', '.join(sorted(kept))}." if kept else ""
    return Failure(
        f"{len(bad)} models or tests failed: {', '.join(result.node for result in bad)}.{left}",
        metadata={result.node: result.message[:MESSAGE_CHARACTERS] for result in bad},
    )


def _selector(node: str) -> str:
    """dbt's selection of one node: by its name, which no other node of its kind shares."""
    kind, _, *name = node.split(".")
    return f"unit_test:{name[-1]}" if kind == "unit_test" else name[0]


def _events(plant: Plant, select: list[str], tests: bool) -> Iterator[NodeResult]:
    """What ends, as it ends. A failed build is no error here: whoever asked looks at the results.

    Raises DbtError where the build ended without any result that says why.
    """
    heard: queue.SimpleQueue[NodeResult | None] = queue.SimpleQueue()
    outcome: list[BuildReport | BaseException] = []

    def work() -> None:
        try:
            outcome.append(
                build(
                    plant.warehouse_dsn,
                    tests=tests,
                    select=select,
                    only=True,
                    target=plant.dbt,
                    listener=heard.put,
                )
            )
        except BaseException as error:
            outcome.append(error)
        finally:
            heard.put(None)

    worker = threading.Thread(target=work, name="dbt build", daemon=True)
    worker.start()
    bad = False
    while (result := heard.get()) is not None:
        bad |= result.is_bad
        yield result
    worker.join()
    if isinstance(outcome[0], BaseException) and not (isinstance(outcome[0], DbtError) and bad):
        raise outcome[0]


def _materialized(key: AssetKey, result: NodeResult) -> MaterializeResult[Any]:
    metadata: Mapping[str, Any] = {"seconds": MetadataValue.float(round(result.seconds, 3)), "by": "dbt build"}
    if result.rows is not None:
        metadata = {**metadata, "dagster/row_count": result.rows}
    return MaterializeResult(asset_key=key, metadata=metadata)


def _checked(key: AssetCheckKey, result: NodeResult, test: Test) -> AssetCheckResult:
    warned = result.status == "warn"
    return AssetCheckResult(
        passed=not (result.is_bad or warned),
        asset_key=key.asset_key,
        check_name=key.name,
        severity=AssetCheckSeverity.WARN if warned or test.warns else AssetCheckSeverity.ERROR,
        metadata={
            "status": result.status,
            "rows that fail": result.failures,
            "seconds": round(result.seconds, 3),
            **({"message": result.message[:MESSAGE_CHARACTERS]} if result.message else {}),
        },
    )
