"""Each test has a source, a topic, a connector and a stream database of its own; Kafka is the run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.connect import Connect
from headwater.embedded.postgres import Cluster
from tests.cdc.database import Database, make_database
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop
from tests.pipelines.dispatch.kafka.stage import DispatchStage
from tests.pipelines.dispatch.stream_database import StreamDatabase


@pytest.fixture
def database(oltp: Cluster, tmp_path: Path) -> Iterator[Database]:
    made = make_database(oltp, tmp_path / "spool")
    yield made
    made.drop()


@pytest.fixture
def kafka(database: Database, plant: Plant, stream: StreamDatabase, tmp_path: Path) -> Iterator[DispatchStage]:
    with Connect([worker.url for worker in plant.workers.values()]) as connect:
        shop = Shop(database, plant, connect)
        made = DispatchStage(shop, stream, tmp_path)
        made.prepare()
        yield made
        made.close()
        shop.close()
