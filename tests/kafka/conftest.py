"""Each test has a database, slots, publications and topics of its own; broker and workers are the run's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.connect import Connect
from headwater.embedded.postgres import Cluster
from tests.cdc.database import Database, make_database
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop


@pytest.fixture
def database(oltp: Cluster, tmp_path: Path) -> Iterator[Database]:
    made = make_database(oltp, tmp_path / "spool")
    yield made
    made.drop()


@pytest.fixture
def connect(plant: Plant) -> Iterator[Connect]:
    with Connect([worker.url for worker in plant.workers.values()]) as client:
        yield client


@pytest.fixture
def shop(database: Database, plant: Plant, connect: Connect) -> Iterator[Shop]:
    made = Shop(database, plant, connect)
    yield made
    made.close()
