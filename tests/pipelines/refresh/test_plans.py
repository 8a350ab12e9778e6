"""What a pass costs depends on what changed: no statement for keys reads a growing table whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from pipelines.refresh.lane import BY_KEYS
from pipelines.refresh.program import HotModel, Program, load
from tests.history import build_in_place, fill
from tests.marts import copy_of_marts, hot_manifest
from tests.mirror import Connection, Stream, put

PROGRAM = load(hot_manifest())


@pytest.fixture(scope="module")
def filled(warehouse: Cluster) -> Iterator[Connection]:
    """2,000 accounts, 40,000 orders, 160,000 lines, and a change log with other batches than the one asked for."""
    with copy_of_marts(warehouse) as marts, marts.connect() as connection:
        fill(connection, accounts=2_000, orders=40_000)
        stream = Stream(connection)
        for n in range(300):
            stream.commit(put("orders.product_replica", product_id=f"00000000-0000-0000-0000-{n:012}", sku="X"))
        build_in_place(connection, PROGRAM)
        connection.execute(BY_KEYS)
        yield connection


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """``schema.table`` of every scan in the plan that looks at all rows of its table."""
    kind = plan["Node Type"]
    unlimited = kind == "Seq Scan" or (kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in plan)
    if unlimited and "Relation Name" in plan:
        yield f"{plan['Schema']}.{plan['Relation Name']}"
    for child in plan.get("Plans", []):
        yield from scans(child)


def explain(connection: Connection, statement: str, *parameters: str | None) -> set[str]:
    cursor = psycopg.RawCursor(connection)
    row = cursor.execute(f"explain (verbose, format json) {statement}".encode(), parameters).fetchone()
    assert row is not None
    whole = set(scans(row[0][0]["Plan"]))
    growing = PROGRAM.growing | {model.relation.replace('"', "") for model in PROGRAM.models}
    suspects = [name for name in whole if name in growing or name.startswith("log.change_log")]
    # To read all of a partition of days to come is to read nothing.
    filled = connection.execute(
        "select name from unnest(%s::text[]) as name where pg_relation_size(name::regclass) > 0", [suspects]
    )
    return {str(name) for (name,) in filled}


def some_keys(connection: Connection, model: HotModel) -> str:
    row = connection.execute(
        f"select array_agg(key)::text from (select {model.key} as key from {model.relation} limit 5) as few".encode()
    ).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("model", PROGRAM.models, ids=lambda model: model.name)
def test_refreshing_keys_reads_only_their_rows(model: HotModel, filled: Connection) -> None:
    keys = some_keys(filled, model)
    assert explain(filled, model.delete_keys, keys) == set()
    assert explain(filled, model.insert_keys, keys) == set()


@pytest.mark.parametrize(
    ("model", "table"),
    [(m, t) for m in PROGRAM.models for t in m.touched],
    ids=lambda x: x.name if hasattr(x, "name") else ".".join(x),
)
def test_finding_touched_keys_reads_only_the_batchs_rows(
    model: HotModel, table: tuple[str, str], filled: Connection
) -> None:
    (batch, day) = filled.execute("select max(batch_id), max(landed_on) from log.change_log").fetchone() or (0, None)
    assert explain(filled, model.touched[table], f"{{{batch}}}", f"{{{day}}}", "5001") == set()


def test_a_scan_that_is_not_limited_would_be_seen(filled: Connection, program: Program) -> None:
    """The refusal refuses: the same statement without its keys reads everything."""
    filled.execute("reset enable_seqscan")
    assert explain(filled, program.models[0].insert_all) != set()
    filled.execute(BY_KEYS)
