"""Whoever starts a build hears how each model and test ended, while it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.embedded.postgres import Cluster
from tests.marts import Marts, copy_of_marts, dbt_target
from warehouse.compile import DbtError, NodeResult, build


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as made:
        yield made


def test_each_model_and_test_is_heard_of_once(marts: Marts) -> None:
    heard: list[NodeResult] = []
    report = build(marts.dsn(), select=["dim_account"], target=dbt_target("run"), listener=heard.append)
    names = [result.node for result in heard]
    assert len(names) == len(set(names))
    (model,) = (result for result in heard if result.node.startswith("model."))
    assert (model.node, model.status, model.rows) == ("model.headwater.dim_account", "success", 3)
    assert sum(result.status == "pass" for result in heard) == report.states["pass"]
    assert not any(result.is_bad for result in heard)


def test_a_failing_test_is_heard_of_with_its_rows_and_the_build_fails(marts: Marts) -> None:
    with marts.superuser() as server:
        # an order whose header says something else than its lines
        server.execute("update raw_orders.sales_order set sub_total = sub_total + 1")
    heard: list[NodeResult] = []
    with pytest.raises(DbtError, match="assert_sub_total_is_sum_of_lines"):
        build(marts.dsn(), select=["fct_sales_order"], target=dbt_target("run"), listener=heard.append)
    (bad,) = (result for result in heard if result.is_bad)
    assert bad.node == "test.headwater.assert_sub_total_is_sum_of_lines"
    assert (bad.status, bad.failures) == ("fail", 1)
