from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.embedded.postgres import Cluster
from pipelines.refresh.lane import Lane
from pipelines.refresh.program import Program, load
from tests.marts import Marts, copy_of_marts, hot_manifest
from tests.mirror import Connection, Stream


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as database:
        yield database


@pytest.fixture(scope="session")
def program() -> Program:
    return load(hot_manifest())


@pytest.fixture
def owner(marts: Marts) -> Iterator[Connection]:
    with marts.connect() as connection:
        yield connection


@pytest.fixture
def stream(owner: Connection) -> Stream:
    return Stream(owner)


@pytest.fixture
def lane(marts: Marts, program: Program) -> Iterator[Lane]:
    with marts.connect() as connection:
        connection.execute(program.prepare.encode())
        yield Lane(connection, program)
