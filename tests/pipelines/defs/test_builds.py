"""Materialising models is a build of dbt: how each model and test ended is seen, and a failure damages nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import AssetKey, AssetSelection, Definitions, ExecuteInProcessResult

from headwater.embedded.postgres import Cluster
from pipelines.defs import definitions
from pipelines.defs.alerts import collect
from tests.marts import ACME, Marts, copy_of_marts, dbt_target
from tests.pipelines.defs.conftest import Storage
from tests.pipelines.defs.plants import make_plant

FCT, ACCOUNT = AssetKey(["marts", "fct_sales_order"]), AssetKey(["marts", "dim_account"])
C360 = AssetKey(["reporting", "c360_account"])


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as made:
        yield made


@pytest.fixture
def defs(marts: Marts, tmp_path: Path) -> Definitions:
    return definitions(make_plant(tmp_path, warehouse_dsn=marts.dsn(), dbt=dbt_target("run")))


def run(defs: Definitions, storage: Storage, selection: AssetSelection) -> ExecuteInProcessResult:
    repository = defs.get_repository_def()
    chosen = repository.get_implicit_global_asset_job_def().get_subset(
        asset_selection=selection.resolve(repository.asset_graph),
        asset_check_selection=selection.resolve_checks(repository.asset_graph),
    )
    return chosen.execute_in_process(instance=storage.instance, raise_on_error=False)


def outcomes(result: ExecuteInProcessResult) -> dict[str, bool]:
    return {
        f"{one.asset_key.to_user_string()}:{one.check_name}": one.passed for one in result.get_asset_check_evaluations()
    }


def rows(marts: Marts, query: str) -> list[tuple[object, ...]]:
    with marts.connect() as owner:
        return owner.execute(query.encode()).fetchall()


def test_one_model_is_built_with_its_tests_as_checks(defs: Definitions, storage: Storage, marts: Marts) -> None:
    rows(marts, "update marts.dim_account set account_name = 'Spoilt' returning 1")
    result = run(defs, storage, AssetSelection.assets(ACCOUNT))
    assert result.success
    (materialization,) = result.asset_materializations_for_node("dbt")
    assert materialization.asset_key == ACCOUNT
    assert materialization.metadata["dagster/row_count"].value == 3
    found = outcomes(result)
    assert found["marts/dim_account:unique_account_uuid"]
    assert found["marts/dim_account:unit_hierarchy_runs_from_the_root"]
    assert all(found.values())
    assert rows(marts, "select count(*) from marts.dim_account where account_name = 'Spoilt'") == [(0,)]


def test_a_test_that_fails_fails_the_run_and_keeps_what_is_built_on_its_model(
    defs: Definitions, storage: Storage, marts: Marts
) -> None:
    rows(
        marts,
        "insert into raw_orders.sales_order"
        " select (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).*"
        " from raw_orders.sales_order as s returning 1",
    )
    stood = "select relfilenode from pg_class where oid = 'reporting.c360_account'::regclass"
    before = rows(marts, stood)
    _, memory = collect(storage.instance, None, datetime.now(UTC), "http://dagster")
    result = run(defs, storage, AssetSelection.assets(FCT, C360))
    assert not result.success
    failed = next(event for event in result.all_events if event.is_step_failure)
    assert (
        "Left as they stand, being built on that: reporting/c360_account."
        in failed.step_failure_data.error_display_string
    )
    found = outcomes(result)
    assert not found["marts/fct_sales_order:unique_order_number"]
    assert found["marts/fct_sales_order:unique_order_id"]
    # what did not run has neither passed nor been materialised
    assert not any(name.startswith("reporting/c360_account") for name in found)
    assert [made.asset_key for made in result.asset_materializations_for_node("dbt")] == [FCT]
    assert rows(marts, "select count(*) from marts.fct_sales_order") == [(2,)]
    assert rows(marts, stood) == before
    told, _ = collect(storage.instance, memory, datetime.now(UTC), "http://dagster")
    assert {alert.facts["kind"] for alert in told} == {"run", "check"}


def test_a_run_of_checks_alone_answers_and_does_not_fail(defs: Definitions, storage: Storage, marts: Marts) -> None:
    rows(marts, "update marts.fct_sales_order set sub_total = sub_total + 1 returning 1")
    graph = defs.get_repository_def().asset_graph
    chosen = [key for key in graph.asset_check_keys if key.name == "assert_sub_total_is_sum_of_lines"]
    result = run(defs, storage, AssetSelection.checks(*chosen))
    assert result.success
    assert outcomes(result) == {"marts/fct_sales_order:assert_sub_total_is_sum_of_lines": False}


def test_a_model_that_cannot_be_built_fails_the_run_and_leaves_its_table(
    defs: Definitions, storage: Storage, marts: Marts
) -> None:
    with marts.superuser() as server:
        # a value that the model's contract cannot hold
        server.execute("update raw_contacts.account set name = null where account_uuid = %s", [ACME])
        server.execute("alter table raw_contacts.account rename column industry to trade")
        server.execute("drop view staging.stg_contacts__account cascade")
    before = rows(marts, "select count(*) from marts.dim_account")
    staging = AssetKey(["staging", "stg_contacts__account"])
    result = run(defs, storage, AssetSelection.assets(staging, ACCOUNT))
    assert not result.success
    failed = next(event for event in result.all_events if event.is_step_failure)
    assert "model.headwater.stg_contacts__account" in failed.step_failure_data.user_failure_data.metadata
    assert rows(marts, "select count(*) from marts.dim_account") == before


def test_checks_of_ours_run_alone_and_say_what_is_wrong(defs: Definitions, storage: Storage, marts: Marts) -> None:
    rows(marts, "update marts.dim_account set account_name = 'Spoilt' returning 1")
    rows(marts, "update reporting.c360_account set totals_by_currency = '{}' returning 1")
    graph = defs.get_repository_def().asset_graph
    chosen = [
        key
        for key in graph.asset_check_keys
        if key.name in ("equals_full_rebuild", "totals_are_those_of_the_orders", "lines_add_up_to_headers")
        and key.asset_key.path[-1] in ("dim_account", "c360_account", "fct_sales_order", "sales_order")
    ]
    result = run(defs, storage, AssetSelection.checks(*chosen))
    assert result.success
    assert outcomes(result) == {
        "marts/dim_account:equals_full_rebuild": False,
        "marts/fct_sales_order:equals_full_rebuild": True,
        "reporting/c360_account:equals_full_rebuild": False,
        "raw_orders/sales_order:lines_add_up_to_headers": True,
        "reporting/c360_account:totals_are_those_of_the_orders": False,
    }
    drifted = next(one for one in result.get_asset_check_evaluations() if one.asset_key == ACCOUNT)
    assert drifted.metadata["what mends it"].value == "headwater rebuild dim_account"
    assert str(ACME) in str(drifted.metadata["rows lacking, by key"].value)
