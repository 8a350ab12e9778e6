"""Engines that are down, slow, full, emptied, restored from a copy, or made for other settings: real ones."""

from __future__ import annotations

import resource
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from headwater.embedded.postgres import Cluster
from search.engines import meilisearch, meilisearch_client, tantivy_queries
from search.engines.generations import Generations
from search.engines.tantivy import Tantivy
from search.errors import EngineUnavailable, IndexLocked, IndexMissing
from search.place import Place
from search.sync import Sync
from tests.search.servers import MeiliServer, server
from tests.search.world import (
    ACME,
    ADMIN,
    BIKE,
    MUELLER,
    ORDER,
    SUMMIT,
    Searching,
    account,
    line,
    order,
    searching_in,
    seed,
)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[MeiliServer]:
    """A server that the test may ruin."""
    with server(tmp_path / "server") as running:
        yield running


@contextmanager
def over(cluster: Cluster, place: Place) -> Iterator[Searching]:
    with searching_in(cluster, place) as world:
        world.land(*seed())
        world.settle()
        yield world


def rename(world: Searching, name: str) -> None:
    world.land(account(ACME, "AC-000104", name))


def write_for_ever(world: Searching) -> None:
    while True:
        world.sync.run_pass()
        rename(world, "again")


def look_now(world: Searching) -> None:
    """As if it were time to examine the indexes again."""
    world.sync._examined = -1e9


def test_a_server_that_is_down_is_waited_for_and_nothing_is_lost(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        own_server.stop()
        rename(world, "Zenith")
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            world.sync.run_pass()
        with pytest.raises(EngineUnavailable):
            world.find("zenith")
        own_server.start()
        world.settle()
        assert world.ids("zenith") == {ACME}


def test_a_server_that_is_killed_while_it_writes_has_everything_afterwards(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        world.land(*(order(UUID(int=9_000 + n), f"SO-{9_000 + n}", MUELLER) for n in range(1_500)))
        killer = threading.Timer(0.15, own_server.stop)
        killer.start()
        with pytest.raises(EngineUnavailable):
            write_for_ever(world)
        killer.join()
        own_server.start()
        world.settle()
        assert world.find("so", entities=["order"]).total == 1_503


def test_a_slow_server_is_not_waited_for_by_readers(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        assert own_server.process is not None
        own_server.process.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(meilisearch_client, "SEARCH_SECONDS", 0.3)
            with pytest.raises(EngineUnavailable, match="in time"):
                world.find("acme")
        own_server.process.send_signal(signal.SIGCONT)
        assert world.ids("acme") == {ACME}


def test_a_server_that_comes_back_empty_is_filled_again(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        own_server.stop()
        shutil.rmtree(own_server.directory / "data")
        own_server.start()
        with pytest.raises(IndexMissing):
            world.find("acme")
        rename(world, "Zenith")
        world.settle()
        assert world.ids("zenith") == {ACME}
        assert world.ids("summit") >= {SUMMIT, ORDER}


def test_an_index_that_the_server_made_by_itself_is_not_taken_for_ours(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        engine = world.engine
        assert isinstance(engine, meilisearch.Meilisearch)
        live = engine._live("account")
        engine._drop(live)
        engine._client.await_task(engine._client.put_lines(live, [b'{"id": "_index", "version": 900000}']))
        with pytest.raises(IndexMissing):
            world.find("acme", entities=["account"])
        assert world.find("mountain").missing == ("account",)
        look_now(world)
        world.settle()
        assert world.ids("acme") == {ACME}


def test_a_server_restored_from_an_older_copy_is_filled_again(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        rename(world, "Before")
        world.settle()
        own_server.stop(signal.SIGTERM)
        shutil.copytree(own_server.directory / "data", tmp_path / "copy")
        own_server.start()
        rename(world, "After")
        world.settle()
        own_server.stop(signal.SIGTERM)
        shutil.rmtree(own_server.directory / "data")
        shutil.move(tmp_path / "copy", own_server.directory / "data")
        own_server.start()
        assert world.ids("before") == {ACME}
        look_now(world)
        world.settle()
        assert world.ids("after") == {ACME}
        assert "older" in str(world.owner.execute("select reason from search.standing").fetchall())


def test_a_server_that_is_too_old_is_named(meili: MeiliServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meilisearch_client, "OLDEST", (99, 0))
    place = meili.place(tmp_path)
    with pytest.raises(EngineUnavailable, match=r"is 1\.21.*use 99\.0 or newer"):
        meilisearch.Meilisearch(place.url or "", place.key, place.prefix).examine("account")


def test_a_wrong_key_is_named(meili: MeiliServer, tmp_path: Path) -> None:
    place = meili.place(tmp_path)
    with pytest.raises(EngineUnavailable, match="HEADWATER_SEARCH_KEY"):
        meilisearch.Meilisearch(place.url or "", "another", place.prefix).examine("account")


def test_a_document_that_the_server_refuses_is_set_aside_and_everything_else_goes_on(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    own_server.stop()
    own_server.start(MEILI_HTTP_PAYLOAD_SIZE_LIMIT="20000")
    with over(warehouse, own_server.place(tmp_path)) as world:
        things = [line(n, ORDER, BIKE, f"SKU-{n}", f"Thing {n} {'x' * 60}") for n in range(2, 400)]
        world.land(*things, account(ACME, "AC-000104", "Zenith"))
        world.settle()
        assert world.ids("zenith") == {ACME}
        # What is refused must not be found as it was before: its rows may have moved out of a reader's sight.
        assert ORDER not in world.ids("so")
        refused = world.owner.execute("select entity, id, error from search.refused").fetchall()
        assert [(entity, id) for entity, id, _ in refused] == [("order", ORDER)]
        assert "payload_too_large" in refused[0][2]
        world.land(*(("d", "orders.sales_order_line", {"id": thing[2]["id"]}) for thing in things))
        world.settle()
        assert ORDER in world.ids("so")
        assert world.owner.execute("select count(*) from search.refused").fetchone() == (0,)


@pytest.fixture
def tantivy_world(warehouse: Cluster, tmp_path: Path) -> Iterator[Searching]:
    with over(warehouse, Place(tmp_path / "search")) as world:
        yield world


def test_a_text_of_any_size_is_found_by_what_is_kept_of_it(world: Searching) -> None:
    world.land(account(ACME, "AC-000104", "Zenith " + "very " * 100_000), account(SUMMIT, "AC-1", "x" * 200_000))
    world.settle()
    assert world.ids("zenith very") == {ACME}


def test_a_deleted_directory_is_built_anew(tantivy_world: Searching) -> None:
    world = tantivy_world
    shutil.rmtree(world.place.directory)
    with pytest.raises(IndexMissing):
        world.find("acme")
    look_now(world)
    world.settle()
    assert world.ids("acme") == {ACME}


@pytest.mark.parametrize("file", ["meta.json", "*.idx", "*.store", "*.fast", "*.term"])
@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_noticed_at_the_next_start_and_the_index_built_anew(
    warehouse: Cluster, tmp_path: Path, file: str, how: str
) -> None:
    with over(warehouse, Place(tmp_path / "search")) as world:
        world.engine.close()
        current = Generations(world.place.directory / "account").current()
        assert current is not None
        path = next(current.glob(file))
        content = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            broken = content[: len(content) // 3] + b"\xff" + content[len(content) // 3 + 1 :]
            path.write_bytes(broken if how == "flipped" else content[: len(content) // 2])
        with_fresh = Tantivy(world.place.directory)
        assert with_fresh.examine("account", thoroughly=True).problem
        restarted = Sync(world.sync._connection, with_fresh)
        world.engine, world.sync = with_fresh, restarted
        world.settle()
        assert world.ids("acme") == {ACME}
        with_fresh.close()


def test_an_index_that_another_process_writes_is_left_to_it(tantivy_world: Searching) -> None:
    world = tantivy_world
    rename(world, "Held")
    world.settle()
    other = Tantivy(world.place.directory)
    with pytest.raises(IndexLocked, match="Another process writes"):
        other.write("account", [], [ACME], 1)
    world.engine.close()
    other.write("account", [], [ACME], 1)
    other.close()


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tantivy_world: Searching) -> None:
    world = tantivy_world
    rename(world, "Zenith")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(EngineUnavailable):
            world.sync.run_pass()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert world.ids("acme") == {ACME}
    world.settle()
    assert world.ids("zenith") == {ACME}


def test_a_reader_in_another_process_sees_every_commit_and_every_new_index(tantivy_world: Searching) -> None:
    world = tantivy_world
    reader = Tantivy(world.place.directory)
    writer, world.engine = world.engine, reader
    assert world.ids("acme") == {ACME}
    rename(world, "Zenith")
    world.settle()
    assert world.ids("zenith") == {ACME}
    world.sync.builds.begin("account", "asked for")
    world.settle()
    rename(world, "Apex")
    world.settle()
    assert world.ids("apex") == {ACME}
    writer.close()


def test_settings_change_while_writes_go_on_and_searches_never_stop(
    world: Searching, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.land(*(order(UUID(int=30_000 + n), f"SO-{30_000 + n}", MUELLER) for n in range(2_500)))
    world.settle()
    # What is built takes the machine, too: a search that takes long has not stopped.
    monkeypatch.setattr(meilisearch_client, "SEARCH_SECONDS", 30.0)
    monkeypatch.setattr(tantivy_queries, "settings", lambda: "others")
    monkeypatch.setitem(meilisearch.SETTINGS, "searchCutoffMs", 900)
    built = dict(world.owner.execute("select entity, built_at from search.standing").fetchall())
    stop, failures, seen = threading.Event(), [], [0]

    def search() -> None:
        while not stop.is_set():
            try:
                answer = world.find("so", ADMIN, entities=["order"])
                if answer.missing or answer.total < 2_503:
                    failures.append(answer)
                seen[0] += 1
            except Exception as error:
                failures.append(error)

    searching = threading.Thread(target=search)
    searching.start()
    try:
        look_now(world)
        assert world.sync.is_due()
        n = 0
        while world.sync.is_due():
            rename(world, f"Name{n}") if n < 20 else None
            world.sync.run_pass()
            n += 1
    finally:
        stop.set()
        searching.join()
    assert failures == []
    assert seen[0] > 0
    rebuilt = dict(world.owner.execute("select entity, built_at from search.standing").fetchall())
    assert all(rebuilt[entity] > built[entity] for entity in built)
    assert world.ids(f"name{min(n, 20) - 1}") == {ACME}


def test_a_server_out_of_disk_is_waited_for_and_nothing_is_lost(
    warehouse: Cluster, own_server: MeiliServer, tmp_path: Path
) -> None:
    with over(warehouse, own_server.place(tmp_path)) as world:
        own_server.stop(signal.SIGTERM)
        largest = max(path.stat().st_size for path in own_server.directory.rglob("*.mdb"))
        own_server.start(file_bytes=largest + 128 * 1024)
        rename(world, "Zenith")
        world.land(*(order(UUID(int=9_000 + n), f"SO-{9_000 + n}", MUELLER) for n in range(1_500)))
        with pytest.raises(EngineUnavailable, match="File too large"):
            world.settle()
        assert world.owner.execute("select count(*) from log.queue where consumer = 'search'").fetchone() != (0,)
        assert world.ids("summit") >= {SUMMIT, ORDER}
        own_server.stop(signal.SIGTERM)
        own_server.start()
        world.settle()
        assert world.ids("zenith") == {ACME}
        assert world.find("so", entities=["order"]).total == 1_503
