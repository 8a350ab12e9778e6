"""A failing test keeps what is built on its model as it stands; everything else is built, the hot lane goes on."""

from __future__ import annotations

import pytest

from pipelines.refresh.lane import Lane
from pipelines.refresh.program import load
from tests.marts import GLOBEX, Marts, dbt_target, drain, hot_manifest, order
from tests.mirror import Stream
from warehouse.compile import DbtError, NodeResult, build

ORDER_TWICE = """
    insert into raw_orders.sales_order
    select (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).* from raw_orders.sales_order as s
"""


def tables(marts: Marts) -> dict[str, int]:
    """Each table of marts and reporting and the file it stands in, which is another after it was built."""
    with marts.connect() as owner:
        found = owner.execute(
            "select relname, relfilenode from pg_class"
            " where relkind = 'r' and relnamespace in ('marts'::regnamespace, 'reporting'::regnamespace)"
        )
        return dict(found.fetchall())


def built(marts: Marts, before: dict[str, int]) -> set[str]:
    return {name for name, file in tables(marts).items() if before.get(name) != file}


def spoil(marts: Marts, statement: str) -> None:
    with marts.superuser() as server:
        server.execute(statement.encode())


def refused(marts: Marts, *select: str) -> tuple[str, list[NodeResult]]:
    """What a build that fails says, and how each node ended."""
    heard: list[NodeResult] = []
    with pytest.raises(DbtError) as caught:
        build(marts.dsn(), select=select, target=dbt_target("run"), listener=heard.append)
    return str(caught.value), heard


def test_an_order_number_that_stands_twice_stops_every_mart_of_orders_and_no_other(marts: Marts) -> None:
    spoil(marts, ORDER_TWICE)
    before = tables(marts)
    said, heard = refused(marts)
    assert {result.node.split(".")[2] for result in heard if result.is_bad} == {
        "unique_stg_orders__sales_order_order_number"
    }
    orders = {"fct_sales_order", "fct_sales_order_line", "agg_sales_daily", "c360_account"}
    assert built(marts, before) == set(before) - orders
    assert "left as they stand" in said
    assert all(f"model.headwater.{model}" in said for model in orders)


@pytest.mark.parametrize(
    ("statement", "failing"),
    [
        (ORDER_TWICE, "unique_fct_sales_order_order_number"),
        # two tests of two models each, of which c360_account is built on one
        ("update raw_orders.sales_order set order_date = '2036-01-01'", "relationships_fct_sales_order_order_date"),
        ("update marts.fct_sales_order_line set line_net = line_net + 1", "assert_lines_add_up_to_orders"),
    ],
    ids=["orders-alone", "orders-and-days", "orders-and-lines"],
)
def test_what_is_built_on_a_model_that_fails_a_test_stays(marts: Marts, statement: str, failing: str) -> None:
    spoil(marts, statement)
    before = tables(marts)
    said, heard = refused(marts, "fct_sales_order", "c360_account", "dim_date")
    assert any(result.is_bad and failing in result.node for result in heard)
    # the mart that failed is there to be looked at, and what was asked for beside it is built
    assert built(marts, before) == {"fct_sales_order", "dim_date"}
    assert "left as they stand, being built on that: model.headwater.c360_account" in said


def test_the_hot_lane_goes_on_where_a_build_was_stopped(marts: Marts) -> None:
    spoil(marts, ORDER_TWICE)
    refused(marts, "fct_sales_order", "c360_account")
    with marts.connect() as owner:
        Stream(owner).commit(order(GLOBEX, GLOBEX, number="SO-000009"))
    program = load(hot_manifest())
    with marts.connect() as connection:
        connection.execute(program.prepare.encode())
        drain(Lane(connection, program))
    with marts.connect() as owner:
        found = owner.execute("select order_count from reporting.c360_account where account_uuid = %s", [GLOBEX])
        assert found.fetchall() == [(1,)]


def test_a_warning_stops_nothing(marts: Marts) -> None:
    # an order of an account that is not there: a warning, because services reach the warehouse one after the other
    spoil(marts, "update raw_orders.sales_order set account_uuid = gen_random_uuid()")
    before = tables(marts)
    report = build(marts.dsn(), select=["fct_sales_order", "c360_account"], target=dbt_target("run"))
    assert report.states["warn"] >= 1
    assert built(marts, before) == {"fct_sales_order", "c360_account"}
