"""Each test has a source database and a warehouse database of its own, in the suite's two clusters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.config import Config, Server
from headwater.embedded.postgres import Cluster
from headwater.provision.warehouse import provision
from pipelines.landing import worker
from tests.cdc.database import Database, make_database
from tests.passwords import PASSWORDS
from tests.pipelines.landing.stage import Stage, WarehouseDatabase, copy_warehouse


@pytest.fixture(autouse=True)
def prompt_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Landing looks more often whether to stop: half a second for each test adds up."""
    monkeypatch.setattr(worker, "READ_TIMEOUT", 0.05)


@pytest.fixture(scope="session")
def warehouse_template(warehouse: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The provisioned database ``warehouse``, which tests copy."""
    server = Server("127.0.0.1", warehouse.port, warehouse.password)
    config = Config(str(tmp_path_factory.mktemp("home")), server, server, 0, "unused", PASSWORDS)
    provision(config)
    return config


@pytest.fixture
def target(warehouse: Cluster, warehouse_template: Config) -> Iterator[WarehouseDatabase]:
    made = copy_warehouse(warehouse, warehouse_template)
    yield made
    made.drop()


@pytest.fixture
def database(oltp: Cluster, tmp_path: Path) -> Iterator[Database]:
    made = make_database(oltp, tmp_path / "spool")
    yield made
    made.drop()


@pytest.fixture
def stage(database: Database, target: WarehouseDatabase) -> Iterator[Stage]:
    made = Stage(database, target)
    yield made
    made.close()
