"""Dagster with the storage that an installation has: a database of its own in the warehouse cluster, a copy a test."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from dagster import DagsterInstance

from headwater.config import Config, Server
from headwater.dagster import instance as instances
from headwater.embedded.postgres import Cluster
from headwater.provision import dagster as provisioning
from tests.passwords import PASSWORD, PASSWORDS

os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
_numbers = itertools.count(1)


@dataclass
class Storage:
    """One test's instance of Dagster and the database behind it."""

    instance: DagsterInstance
    dsn: str

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="session")
def storage_template(warehouse: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The provisioned database ``dagster`` with Dagster's tables, which tests copy."""
    server = Server("127.0.0.1", warehouse.port, warehouse.password)
    config = Config(str(tmp_path_factory.mktemp("home")), server, server, 0, "unused", PASSWORDS)
    provisioning.provision(config)
    with _opened(tmp_path_factory.mktemp("template"), config, "dagster"):
        pass
    return config


@pytest.fixture
def storage(warehouse: Cluster, storage_template: Config, tmp_path: Path) -> Iterator[Storage]:
    name = f"dagster_{next(_numbers)}"
    with warehouse.connect() as server:
        server.execute(f"create database {name} template dagster owner wh_dagster".encode())
    with _opened(tmp_path, storage_template, name) as instance:
        yield Storage(instance, warehouse.dsn(name, user="wh_dagster", password=PASSWORD))
    with warehouse.connect() as server:
        server.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def instance(storage: Storage) -> DagsterInstance:
    return storage.instance


def _opened(directory: Path, config: Config, database: str) -> DagsterInstance:
    settings = instances.settings(config)
    settings["storage"]["postgres"]["postgres_db"]["db_name"] = database
    settings["local_artifact_storage"]["config"]["base_dir"] = str(directory)
    # Runs of a test are in its own process.
    del settings["run_launcher"], settings["run_coordinator"]
    (directory / "dagster.yaml").write_text(json.dumps(settings))
    return DagsterInstance.from_config(str(directory))
