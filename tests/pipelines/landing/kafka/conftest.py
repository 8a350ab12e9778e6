"""Each test has a source, topics, a connector and a warehouse database of its own; Kafka is the run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.connect import Connect
from tests.cdc.database import Database
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop
from tests.pipelines.landing.kafka.stage import KafkaStage
from tests.pipelines.landing.stage import WarehouseDatabase


@pytest.fixture
def connect(plant: Plant) -> Iterator[Connect]:
    with Connect([worker.url for worker in plant.workers.values()]) as client:
        yield client


@pytest.fixture
def kafka(
    database: Database, plant: Plant, connect: Connect, target: WarehouseDatabase, tmp_path: Path
) -> Iterator[KafkaStage]:
    shop = Shop(database, plant, connect)
    made = KafkaStage(shop, target, tmp_path)
    made.prepare()
    yield made
    made.close()
    shop.close()
