"""The warehouse sink fulfils the contract."""

from __future__ import annotations

import pytest

from pipelines.landing.lease import PATIENCE
from pipelines.landing.sinks.warehouse import WarehouseSink
from tests.pipelines.landing.sink_contract import SinkContract, SinkHarness
from tests.pipelines.landing.stage import WarehouseDatabase


class WarehouseHarness:
    def __init__(self, target: WarehouseDatabase) -> None:
        self._target = target

    def sink(self, *, patience: float = PATIENCE) -> WarehouseSink:
        return WarehouseSink(self._target.dsn, "contract", patience=patience)

    def rows(self) -> dict[str, tuple[str | None, ...]]:
        if not self._target.run("select 1 from pg_tables where schemaname = 'raw_stock'"):
            return {}
        rows = self._target.run("select id::text, name, note from raw_stock.item where not _deleted")
        return {row[0]: row for row in rows}

    def logged(self) -> list[tuple[int, int, int]]:
        return self._target.run("select xid, (lsn - '0/0')::int, seq from log.change_log order by 1, 2, 3")


class TestWarehouseSink(SinkContract):
    @pytest.fixture
    def harness(self, target: WarehouseDatabase) -> SinkHarness:
        return WarehouseHarness(target)
