"""A stream database of its own for each test, with the roles of three services."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from tests.pipelines.dispatch.dispatch_thread import DispatchThread
from tests.pipelines.dispatch.source_database import SourceDatabase
from tests.pipelines.dispatch.stream_database import StreamDatabase, create_stream_database


@pytest.fixture(scope="session")
def stream_template(oltp: Cluster) -> str:
    """A migrated database that each test copies."""
    return create_stream_database(oltp, "stream_template").name


@pytest.fixture
def stream(oltp: Cluster, stream_template: str) -> Iterator[StreamDatabase]:
    name = f"stream_{secrets.token_hex(4)}"
    with oltp.connect() as server:
        server.execute(f"create database {name} template {stream_template}".encode())
    yield StreamDatabase(oltp, name)
    with oltp.connect() as server:
        server.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def source(oltp: Cluster) -> Iterator[SourceDatabase]:
    database = SourceDatabase(oltp)
    yield database
    database.drop()


@pytest.fixture
def dispatching(source: SourceDatabase, stream: StreamDatabase, tmp_path: Path) -> Iterator[DispatchThread]:
    """A running dispatch worker of ``source`` into ``stream``."""
    worker = DispatchThread(source, stream, tmp_path)
    yield worker
    worker.stop()
