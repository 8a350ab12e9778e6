"""Real components for every test: two PostgreSQL clusters a run, thrown away at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from headwater.embedded.postgres import OLTP, WAREHOUSE, Cluster, free_port
from tests.kafka.plant import Plant, planted
from tests.processes import ByPlace, rank
from tests.stack import Stack, running
from tests.standby import Pair

# Durability traded for speed: a killed server may lose its last commits, so tests that kill one set synchronous_commit.
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum_naptime": "10s"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Called where several processes share the tests."""
    config.option.loadscopereorder = False
    return ByPlace(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells what the whole system said of itself: nobody can ask it once the run is over."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        for system in {id(used): used for used in item.funcargs.values() if isinstance(used, Stack)}.values():
            report.sections.append((f"the system in {system.home.root}", system.told()))
    return report


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


@pytest.fixture
def pair(cluster_root: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A server and its standby; with the parameter False readers may be ahead of the standby."""
    made = Pair(cluster_root, careful=getattr(request, "param", True))
    yield made
    made.close()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, empty, started once: for tests that walk from the API to the warehouse."""
    yield from running()


@pytest.fixture(scope="session")
def plant() -> Iterator[Plant]:
    """Kafka, two Connect workers with Debezium, shared by all tests of a run: each names its topics and connectors."""
    with planted() as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser; each test opens a context of its own in it. A process can run Playwright only once at a time."""
    expect.set_options(timeout=15_000)  # by itself it waits for five seconds, which a busy machine may take for a page
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()
