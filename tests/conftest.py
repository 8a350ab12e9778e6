"""Real components for every test: two PostgreSQL clusters a run, thrown away at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.embedded.postgres import OLTP, WAREHOUSE, Cluster, free_port
from tests.stack import Stack

# Durability traded for speed: a killed server may lose its last commits, so tests that kill one set synchronous_commit.
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum_naptime": "10s"}


@pytest.fixture(scope="session")
def cluster_root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="headwater-tests-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def _cluster(root: Path, name: str, settings: dict[str, str]) -> Iterator[Cluster]:
    cluster = Cluster(name, root / name, free_port(), "postgres", settings | FAST)
    cluster.init()
    process = cluster.start()
    yield cluster
    cluster.stop(immediate=True)
    process.wait()


@pytest.fixture(scope="session")
def oltp(cluster_root: Path) -> Iterator[Cluster]:
    """A cluster with wal_level=logical; the superuser's password is ``postgres``."""
    yield from _cluster(cluster_root, "oltp", OLTP)


@pytest.fixture(scope="session")
def warehouse(cluster_root: Path) -> Iterator[Cluster]:
    yield from _cluster(cluster_root, "warehouse", WAREHOUSE)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, empty, started once: for tests that walk from the API to the warehouse."""
    system = Stack()
    try:
        system.up()
        yield system
    finally:
        system.close()
