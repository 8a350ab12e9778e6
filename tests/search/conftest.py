"""A warehouse with a mirror that is filled by hand, and both engines, real ones, over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.bootstrap  # noqa: F401
from headwater.embedded.postgres import Cluster
from search.place import Place
from tests.search.servers import MeiliServer, server
from tests.search.world import Searching, searching_in, seed
from tests.stack import Stack, running

ENGINES = ("tantivy", "meilisearch")


@pytest.fixture(scope="session")
def meili(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeiliServer]:
    """A Meilisearch server that tests share; each has indexes of its own."""
    with server(tmp_path_factory.mktemp("meilisearch")) as running:
        yield running


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each engine in turn, with nothing in it."""
    return _place(request, tmp_path)


@pytest.fixture
def searching(warehouse: Cluster, place: Place) -> Iterator[Searching]:
    """A sync over an empty warehouse and engine of this test's own, and people who search."""
    with searching_in(warehouse, place) as world:
        yield world


@pytest.fixture
def world(searching: Searching) -> Searching:
    """The seed has landed and is found."""
    searching.land(*seed())
    searching.settle()
    return searching


@pytest.fixture(scope="module", params=ENGINES)
def standing(
    request: pytest.FixtureRequest, warehouse: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Searching]:
    """Like ``world``, for tests of one module that only search."""
    with searching_in(warehouse, _place(request, tmp_path_factory.mktemp("standing"))) as found:
        found.land(*seed())
        found.settle()
        yield found


def _place(request: pytest.FixtureRequest, directory: Path) -> Place:
    if request.param == "tantivy":
        return Place(directory / "search")
    running: MeiliServer = request.getfixturevalue("meili")
    return running.place(directory)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """An installation that only this folder's tests write to."""
    yield from running()
