"""A table that is read whole may begin anew, and its first rows go: the lake has each row of the change log once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from pipelines.lake.loader import drain
from pipelines.lake.retention import verify
from pipelines.landing import worker
from tests.lakes import lake_of
from tests.pipelines.landing.conftest import database, prompt_stop, stage, target, warehouse_template
from tests.pipelines.landing.stage import Stage, WarehouseDatabase
from warehouse.lake.place import Lake, rows

__all__ = ["database", "prompt_stop", "stage", "target", "warehouse_template"]

ITEM = """
create schema stock;
create table stock.item (id int primary key, name text, note text);
alter table stock.item replica identity full;
insert into stock.item select n, 'item ' || n, repeat('x', 100) from generate_series(1, 12000) n
"""
ROWS = 12_000


@pytest.fixture
def lake(warehouse: Cluster, target: WarehouseDatabase, tmp_path: Path) -> Lake:
    return lake_of(warehouse, target.name, tmp_path)


def assert_each_once(lake: Lake, read: int) -> None:
    """``read``: rows of op ``r`` that there must be."""
    drain(lake)
    assert verify(lake, datetime.now(UTC).date()) == []
    with lake.open() as session:
        assert rows(
            session, "select count(*), count(distinct key) from lake.log.changes where op = 'r' and lsn = 0"
        ) == [(read, read)]


def test_a_first_read_that_begins_anew(stage: Stage, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.prepare(*ITEM.strip().split(";\n"), publish=("stock.item",))
    chunks = worker.read_chunks
    landed: list[int] = []

    def interrupted(*given: object, **options: object) -> Iterator[object]:
        for number, chunk in enumerate(chunks(*given, chunk_bytes=100_000, **options)):  # type: ignore[arg-type]
            if number == 3:
                landed.extend(stage.target.run("select count(*) from log.change_log where op = 'r'")[0])
                drain(lake)
                stage.database.run("alter table stock.item add column extra int default 7")
            yield chunk

    monkeypatch.setattr(worker, "read_chunks", interrupted)
    stage.streaming()
    stage.settled()
    assert landed[0] > 0, "rows of the first attempt were there when the lake was loaded"
    assert_each_once(lake, ROWS)
