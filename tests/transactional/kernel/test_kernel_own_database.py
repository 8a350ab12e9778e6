"""A service in a database of its own behaves as one that shares: the contract of the kernel, run both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings
from uuid_utils.compat import uuid7

from headwater.provision import oltp as provisioning
from tests.cast import the_cast
from tests.problem import fields, problem
from tests.transactional.kernel.books import BOOKS, new_isbn
from tests.transactional.kernel.conftest import LIBRARIAN
from tests.transactional.kernel.test_kernel_inbox import seen, statuses
from tests.world import World
from transactional.kernel.inbox import apply_events


@contextmanager
def living_in(database: str) -> Iterator[None]:
    """The sample service's aliases lead to another database."""
    before = {}
    for alias in ("shelf", "shelf_owner"):
        connections[alias].close()
        before[alias] = connections.settings[alias]["NAME"]
        connections.settings[alias]["NAME"] = database
    try:
        yield
    finally:
        for alias, name in before.items():
            connections[alias].close()
            connections.settings[alias]["NAME"] = name


@pytest.fixture(scope="module")
def apart(world: World) -> Iterator[World]:
    """The sample service's own database ``shelf_alone``, provisioned twice: the second time changes nothing."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEADWATER_DB_SHELF", f"postgresql://127.0.0.1:{world.cluster.port}/shelf_alone")
        with living_in("shelf_alone"):
            for _ in range(2):
                provisioning.provision(world.config, ["shelf"])
    yield World(world.cluster, "shelf_alone", world.config)
    with world.cluster.connect() as server:
        server.execute("drop database shelf_alone with (force)")


@pytest.fixture(params=["shared", "own"])
def home(request: pytest.FixtureRequest, world: World) -> Iterator[tuple[World, str]]:
    """The database where the sample service lives, and the source name of its positions."""
    if request.param == "shared":
        yield world, "headwater"
        return
    own: World = request.getfixturevalue("apart")
    sources = {**settings.HEADWATER_SOURCES, "shelf": "shelf"}
    with override_settings(HEADWATER_SOURCES=sources), living_in(own.database):
        yield own, "shelf"


def test_a_command_writes_row_event_and_key_in_one_place(home: tuple[World, str]) -> None:
    where, source = home
    cast = the_cast(LIBRARIAN)
    body = {"title": "Dune", "isbn": new_isbn()}
    answers = [cast.alice.post(BOOKS, body, key="both ways") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].headers["Headwater-Position"].startswith(f"{source}=")
    book = answers[0].json()["id"]
    assert cast.alice.post(f"{BOOKS}/{book}/publish", if_match=1).status_code == 200
    assert len(where.rows("select * from shelf.book where id = %s", [book])) == 1
    assert [str(row["aggregate_id"]) for row in where.outbox("shelf")][-1] == book
    problem(cast.alice.post(f"{BOOKS}/{book}/publish", if_match=1), 409)
    problem(cast.charlie.get(f"{BOOKS}/{book}"), 404)
    assert fields(problem(cast.alice.post(BOOKS, body), 409)) == {"isbn"}


def test_bulk_rows_are_found_again(home: tuple[World, str]) -> None:
    cast = the_cast(LIBRARIAN)
    rows = [
        {"key": {"source": "both ways", "key": str(n)}, "data": {"title": "Dune", "isbn": new_isbn()}}
        for n in range(30)
    ]
    first, second = (cast.alice.post(f"{BOOKS}/bulk", {"rows": rows}).json() for _ in range(2))
    assert (first["created"], second["exists"]) == (30, 30)


def test_events_are_applied_once(home: tuple[World, str]) -> None:
    event = seen(uuid7(), 1, "Acme")
    assert statuses(apply_events("shelf", [event])) == ["applied"]
    assert statuses(apply_events("shelf", [event])) == ["duplicate"]


def test_the_database_knows_only_its_own_service(apart: World) -> None:
    schemas = apart.rows("select nspname from pg_namespace where nspname !~ '^(pg_|information_schema)'")
    assert {row["nspname"] for row in schemas} == {"public", "shelf", "headwater_ddl"}
    published = apart.rows("select pubname, schemaname from pg_publication_tables")
    assert {row["schemaname"] for row in published} == {"shelf"}
    assert {row["pubname"] for row in published} == {"hw_landing", "hw_dispatch", "hw_kafka"}
