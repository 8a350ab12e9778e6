"""The change log's days are made ahead, so that nobody who reads it for long keeps a batch from being stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from pipelines.landing.errors import SinkUnavailable
from pipelines.landing.sinks.warehouse import WarehouseSink
from tests.pipelines.landing.sink_contract import batch, insert, position, transaction
from tests.pipelines.landing.stage import WarehouseDatabase
from warehouse.change_log import partition_name


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def sink(target: WarehouseDatabase) -> Iterator[WarehouseSink]:
    made = WarehouseSink(target.dsn, "contract")
    made.open()
    made.begin_epoch(position(100), "initial", None)
    made.connection.execute("set lock_timeout = '200ms'")
    yield made
    made.close()


def test_a_long_reader_of_the_change_log_delays_the_days_ahead_alone(
    target: WarehouseDatabase, sink: WarehouseSink
) -> None:
    ahead = partition_name(today() + timedelta(days=3))
    sink.store(batch(transaction(1, 200, insert(150, "1", "a", None))))
    target.run(f"drop table log.{ahead}")
    sink._looked_on = today() - timedelta(days=1)
    with target.connect() as reader, reader.transaction():
        reader.execute("select count(*) from log.change_log")
        assert sink.store(batch(transaction(2, 300, insert(250, "2", "b", None)))).changes == 1
    assert target.run("select to_regclass(%s) is null", parameters=[f"log.{ahead}"]) == [(True,)]
    sink._looked_on = today() - timedelta(days=1)
    sink.store(batch(transaction(3, 400, insert(350, "3", "c", None))))
    assert target.run("select to_regclass(%s) is null", parameters=[f"log.{ahead}"]) == [(False,)]


def test_without_a_day_to_write_to_the_batch_waits_and_nothing_is_lost(
    target: WarehouseDatabase, sink: WarehouseSink
) -> None:
    target.run(f"drop table log.{partition_name(today())}")
    with target.connect() as reader, reader.transaction():
        reader.execute("select count(*) from log.change_log")
        with pytest.raises(SinkUnavailable):
            sink.store(batch(transaction(1, 200, insert(150, "1", "a", None))))
    assert sink.open() == position(100)
    assert sink.store(batch(transaction(1, 200, insert(150, "1", "a", None)))).changes == 1
