"""All definitions against what was committed, so that a change of what runs, when, or for whom is seen in review."""

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, Definitions, TableSchema
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from pipelines.defs import definitions
from tests.pipelines.defs.plants import make_plant

COMMITTED = Path(__file__).with_name("definitions.json")
UPDATE = "HEADWATER_UPDATE_SNAPSHOTS"


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    return definitions(make_plant(tmp_path_factory.mktemp("plant")))


@pytest.fixture(scope="module")
def graph(defs: Definitions) -> AssetGraph:
    repository = defs.get_repository_def()
    repository.load_all_definitions()
    return repository.asset_graph


def key(name: str) -> AssetKey:
    return AssetKey(name.split("/"))


def described(defs: Definitions, graph: AssetGraph) -> dict[str, Any]:
    """Sorted, a line a fact."""
    repository = defs.get_repository_def()
    checks: dict[AssetKey, list[str]] = {}
    for check in graph.asset_check_keys:
        checks.setdefault(check.asset_key, []).append(check.name)
    assets = {}
    for node in sorted(graph.asset_nodes, key=lambda n: n.key.to_user_string()):
        assets[node.key.to_user_string()] = {
            "group": node.group_name,
            "owners": sorted(node.owners),
            "kinds": sorted(node.kinds),
            "executable": node.is_executable,
            "partitioned": type(node.partitions_def).__name__ if node.partitions_def else None,
            "reads": sorted(parent.to_user_string() for parent in node.parent_keys),
            "checks": sorted(checks.get(node.key, [])),
        }
    schedules = {
        schedule.name: {
            "cron": schedule.cron_schedule,
            "timezone": schedule.execution_timezone,
            "runs": schedule.job_name,
            "on": schedule.default_status.value,
        }
        for schedule in repository.schedule_defs
    }
    sensors = {
        s.name: {"every": s.minimum_interval_seconds, "on": s.default_status.value} for s in repository.sensor_defs
    }
    jobs = {
        job.name: {
            "assets": sorted(k.to_user_string() for k in job.asset_layer.executable_asset_keys),
            "checks": len(job.asset_layer.asset_graph.asset_check_keys & graph.asset_check_keys),
        }
        for job in repository.get_all_jobs()
        if not job.name.startswith("__")
    }
    return {
        "assets": assets,
        "jobs": dict(sorted(jobs.items())),
        "schedules": dict(sorted(schedules.items())),
        "sensors": sensors,
    }


def test_definitions_are_those_that_were_committed(defs: Definitions, graph: AssetGraph) -> None:
    found = json.dumps(described(defs, graph), indent=1) + "\n"
    if os.environ.get(UPDATE):
        COMMITTED.write_text(found)
    assert found.splitlines() == COMMITTED.read_text().splitlines(), (
        f"The definitions changed. If that is meant, run {UPDATE}=1 pytest {__file__} and commit the difference."
    )


def ancestors(graph: AssetGraph, of: AssetKey) -> set[AssetKey]:
    found: set[AssetKey] = set()
    waiting = [of]
    while waiting:
        for parent in graph.get(waiting.pop()).parent_keys:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def test_lineage_goes_from_a_service_s_table_to_the_customer_360(graph: AssetGraph) -> None:
    path = ["contacts/account", "raw_contacts/account", "staging/stg_contacts__account", "marts/dim_account"]
    for upstream, downstream in pairwise(path):
        assert key(upstream) in graph.get(key(downstream)).parent_keys
    assert set(map(key, path)) <= ancestors(graph, key("reporting/c360_account"))


@pytest.mark.parametrize("reader", ["lake/changes", "search/account", "search/order", "ops/model_state"])
def test_lineage_reaches_every_reader_from_a_source(graph: AssetGraph, reader: str) -> None:
    groups = {graph.get(found).group_name for found in ancestors(graph, key(reader))}
    assert "sources" in groups


def test_every_asset_says_whose_it_is_and_what_it_is(graph: AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert node.owners, node.key
        assert node.description, node.key
        assert node.group_name != "default", node.key


def test_a_mart_shows_its_columns_with_types_and_meaning(graph: AssetGraph) -> None:
    node = graph.get(key("marts/dim_account"))
    schema = node.metadata["dagster/column_schema"]
    schema = schema.value if hasattr(schema, "value") else schema
    assert isinstance(schema, TableSchema)
    columns = {column.name: column for column in schema.columns}
    assert columns["account_uuid"].type == "uuid"
    assert "same in every service" in (columns["account_uuid"].description or "")
    assert node.owners == ["team:sales-operations"]


def test_every_hot_mart_is_checked_for_drift_and_every_mirror_against_its_source(graph: AssetGraph) -> None:
    checked = {(check.asset_key, check.name) for check in graph.asset_check_keys}
    for node in graph.asset_nodes:
        if node.tags.get("headwater/lane") == "hot":
            assert (node.key, "equals_full_rebuild") in checked
        if node.group_name == "mirror":
            assert (node.key, "equals_source") in checked


def test_every_check_says_what_it_is_about(graph: AssetGraph) -> None:
    specs = {spec.key: spec for spec in (graph.get_check_spec(key) for key in graph.asset_check_keys)}
    assert [key for key, spec in specs.items() if not spec.description] == []
    (daily,) = (spec for key, spec in specs.items() if key.name == "assert_daily_sales_equal_orders")
    assert daily.description == "No sold order is lost or counted twice between the order and the day."


def test_every_source_table_is_a_partition_of_its_own(graph: AssetGraph) -> None:
    partitions = graph.get(key("log/snapshot")).partitions_def
    assert partitions is not None
    tables = {node.key.to_user_string().replace("/", ".") for node in graph.asset_nodes if node.group_name == "sources"}
    assert set(partitions.get_partition_keys()) == tables
    assert "contacts.account" in tables
