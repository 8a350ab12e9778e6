"""Commits order the versions of a row, whatever their clock and their place in the log say: in history and rebuild."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from pipelines.lake.loader import drain
from pipelines.lake.rebuilding import rebuild_mirrors
from pipelines.landing.sinks.warehouse import WarehouseSink
from tests.lakes import lake_of
from tests.pipelines.landing.conftest import target, warehouse_template
from tests.pipelines.landing.sink_contract import batch, change, insert, position, transaction
from tests.pipelines.landing.stage import WarehouseDatabase
from warehouse.lake.history import find, history
from warehouse.lake.place import Lake, rows

__all__ = ["target", "warehouse_template"]

STEPS = ("a", "b", "c", "d")
TIME = 1_700_000_000_000_000


@pytest.fixture
def lake(warehouse: Cluster, target: WarehouseDatabase, tmp_path: Path) -> Lake:
    return lake_of(warehouse, target.name, tmp_path)


@pytest.fixture(params=[0, -1_000_000], ids=["one-time", "clock-going-back"])
def step(request: pytest.FixtureRequest) -> int:
    """Microseconds between two commits of one batch."""
    return int(request.param)


@pytest.fixture
def landed(target: WarehouseDatabase, lake: Lake, step: int) -> WarehouseDatabase:
    """A row of four versions, by four transactions of one batch; in the log they stand the other way round."""
    transactions = []
    for number, name in enumerate(STEPS):
        lsn = 200 - 10 * number
        item = (
            change("u", lsn, 0, before=("1", STEPS[number - 1], None), after=("1", name, None))
            if number
            else insert(lsn, "1", name, None)
        )
        transactions.append(transaction(number + 1, 300 + number, item))
        transactions[-1].committed_at = TIME + step * number
    sink = WarehouseSink(target.dsn, "contract")
    sink.open()
    sink.begin_epoch(position(100), "initial", None)
    sink.store(batch(*transactions))
    sink.close()
    return target


@pytest.mark.parametrize("loaded", [False, True], ids=["change-log", "lake"])
def test_versions_stand_in_the_order_of_their_commits(landed: WarehouseDatabase, lake: Lake, loaded: bool) -> None:
    if loaded:
        drain(lake)
    with landed.connect() as log:
        found = history(log, lake, find(log, "stock.item/1"))
    assert [version.fields.get("name") for version in found.versions] == [
        (None, "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
    ]


def test_analysts_can_order_them(landed: WarehouseDatabase, lake: Lake) -> None:
    drain(lake)
    with lake.open() as session:
        found = rows(session, "select name from lake.stock.item order by _epoch, _batch_id, _commit_no, _lsn, _seq")
    assert [name for (name,) in found] == list(STEPS)


def test_the_rebuilt_mirror_has_the_last_commit(landed: WarehouseDatabase, lake: Lake) -> None:
    before = landed.run("select * from raw_stock.item")
    assert before[0][1] == "d"
    drain(lake)
    list(rebuild_mirrors(lake))
    assert landed.run("select * from raw_stock.item") == before
