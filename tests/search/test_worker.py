"""The resident worker and its batch form: they share the lease, and wait for what will end by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from pipelines.runtime import Heartbeat, Stop
from pipelines.search.worker import drain, run
from search.errors import EngineUnavailable, IndexLocked
from search.lease import leased
from search.mending import compare, rebuild
from search.place import Place
from tests.search.world import ACME, Searching, account, searching_in, seed
from tests.stack import eventually


@pytest.fixture
def world(warehouse: Cluster, tmp_path: Path) -> Iterator[Searching]:
    """The seed has landed and nothing followed it yet."""
    with searching_in(warehouse, Place(tmp_path / "search")) as searching:
        searching.land(*seed())
        yield searching


@contextmanager
def resident(world: Searching, tmp_path: Path) -> Iterator[Heartbeat]:
    heartbeat, stop = Heartbeat(tmp_path / "search.json", "search"), Stop()
    thread = threading.Thread(target=run, args=[world.dsn("wh_owner"), world.place, heartbeat, stop])
    thread.start()
    try:
        yield heartbeat
    finally:
        stop.set()
        thread.join()


def found(world: Searching, q: str) -> Any:
    return lambda: world.find(q).total if world.engine.examine("account").problem is None else 0


def test_the_worker_builds_what_is_missing_and_follows_what_lands(world: Searching, tmp_path: Path) -> None:
    with resident(world, tmp_path) as heartbeat:
        eventually(found(world, "summit"), what="the index is built")
        world.land(account(ACME, "AC-000104", "Zenith"))
        eventually(found(world, "zenith"), what="the change is found")
        eventually(lambda: heartbeat._state["counters"].get("batches"), what="the batch is counted")
        assert heartbeat._state["detail"]["engine"] == "tantivy"


def test_draining_beside_the_worker_waits_for_it(world: Searching, tmp_path: Path) -> None:
    with resident(world, tmp_path):
        eventually(found(world, "summit"), what="the index is built")
        world.land(account(ACME, "AC-000104", "Zenith"))
        assert drain(world.dsn("wh_owner"), world.place, timeout=60) == []
        assert world.ids("zenith") == {ACME}


def test_draining_alone_does_everything_and_stops(world: Searching) -> None:
    passes = drain(world.dsn("wh_owner"), world.place)
    assert sum(done.batches for done in passes) == 1
    assert world.ids("acme") == {ACME}
    assert drain(world.dsn("wh_owner"), world.place) == []


def test_draining_gives_up_when_the_holder_does_nothing(world: Searching) -> None:
    with leased(world.dsn("wh_owner")), pytest.raises(IndexLocked, match="headwater search"):
        drain(world.dsn("wh_owner"), world.place, timeout=0.5)


def test_draining_says_what_the_engine_lacks(world: Searching, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        drain(world.dsn("wh_owner"), Place(tmp_path, "http://127.0.0.1:9"))


def test_a_worker_whose_engine_is_away_says_so_and_goes_on_when_it_is_back(world: Searching, tmp_path: Path) -> None:
    directory = world.place.directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.write_text("no directory")
    with resident(world, tmp_path) as heartbeat:
        eventually(lambda: heartbeat._state["error"], what="the worker says what it waits for")
        directory.unlink()
        eventually(found(world, "summit"), what="the index is built")
        eventually(lambda: heartbeat._state["error"] is None, what="the worker is well")


def test_a_worker_without_a_mirror_waits_for_landing(world: Searching, tmp_path: Path) -> None:
    world.owner.execute("alter table raw_orders.sales_order rename to later")
    with resident(world, tmp_path) as heartbeat:
        eventually(lambda: "landing makes it" in str(heartbeat._state["error"]), what="the worker says what is missing")
        world.owner.execute("alter table raw_orders.later rename to sales_order")
        eventually(lambda: world.engine.examine("order").documents == 3, what="orders are found")


def test_people_may_have_everything_built_and_compared(world: Searching) -> None:
    drain(world.dsn("wh_owner"), world.place)
    assert {built.entity: built.documents for built in rebuild(world.dsn("wh_owner"), world.place)} == {
        "account": 4,
        "contact": 2,
        "product": 2,
        "order": 3,
    }
    world.engine.write("account", [], [ACME], 1)
    world.engine.close()
    (left, *_) = compare(world.dsn("wh_owner"), world.place, mend=False)
    assert (left.counts, left.mended) == ({"missing": 1}, 0)
    (mended, *_) = compare(world.dsn("wh_owner"), world.place, mend=True)
    assert (mended.counts, mended.mended) == ({"missing": 1}, 1)
    assert all(not report.differences for report in compare(world.dsn("wh_owner"), world.place, mend=True))
    assert world.ids("acme") == {ACME}


def test_an_index_ahead_of_its_warehouse_is_built_anew(world: Searching) -> None:
    """As after a backup was restored beside a server that had gone on."""
    drain(world.dsn("wh_owner"), world.place)
    with psycopg.connect(world.dsn("wh_owner"), autocommit=True) as owner:
        owner.execute("update search.standing set version = 0")
        owner.execute("select setval('search.version', 1)")
    world.engine.write("account", [], [], 50)
    world.engine.close()
    world.settle()
    row = world.owner.execute("select reason from search.standing where entity = 'account'").fetchone()
    assert row is not None
    assert "restored" in row[0]
