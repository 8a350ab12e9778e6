"""What landing lives through: the warehouse restarts, is away, is full; the source goes; another process wants in."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from cdc.slots import drop_slot
from headwater.embedded.postgres import Cluster
from pipelines.landing.errors import SourceTaken
from pipelines.landing.repair import repair
from pipelines.landing.sinks.warehouse import WarehouseSink
from tests.pipelines.landing.process import arguments, spawn
from tests.pipelines.landing.stage import Stage

ITEM = """
create schema stock;
create table stock.item (id int primary key generated always as identity, name text);
alter table stock.item replica identity full
"""
INSERT = "insert into stock.item (name) select 'item ' || n from generate_series(1, 500) n"


@pytest.fixture
def streaming(stage: Stage) -> Stage:
    stage.prepare(ITEM, publish=("stock.item",))
    return stage.streaming()


def backends(cluster: Cluster, condition: str) -> int:
    """How many sessions there are, each of them ended."""
    with cluster.connect() as connection:
        return len(
            connection.execute(
                f"select pg_terminate_backend(pid) from pg_stat_activity where {condition}".encode()
            ).fetchall()
        )


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


@pytest.mark.parametrize("side", ["warehouse", "oltp"])
def test_a_broken_connection_loses_and_doubles_nothing(
    streaming: Stage, side: str, request: pytest.FixtureRequest
) -> None:
    cluster: Cluster = request.getfixturevalue(side)
    database = streaming.target.name if side == "warehouse" else streaming.database.name
    for _ in range(5):
        streaming.database.run(INSERT, "update stock.item set name = name || '.' where id % 7 = 0")
        streaming.wait_for(
            lambda: backends(cluster, f"datname = '{database}' and application_name like 'headwater%'"), "a session"
        )
    streaming.caught_up()
    streaming.assert_equal("stock.item")
    streaming.assert_each_change_once()


@pytest.mark.parametrize("immediate", [False, True], ids=["stopped", "crashed"])
def test_the_warehouse_is_away_while_writes_go_on(streaming: Stage, warehouse: Cluster, immediate: bool) -> None:
    warehouse.stop(immediate=immediate)
    streaming.database.run(INSERT)
    streaming.wait_for(lambda: "warehouse cannot store" in streaming.heartbeat_text(), "the outage in the heartbeat")
    streaming.database.run(INSERT)
    process = warehouse.start()
    try:
        streaming.caught_up()
        streaming.assert_equal("stock.item")
        streaming.assert_each_change_once()
        streaming.wait_for(lambda: json.loads(streaming.heartbeat_text())["error"] is None, "a healthy heartbeat")
    finally:
        streaming.stop()
        assert process.poll() is None


def test_a_dropped_slot_stops_the_source_with_the_gap_named_until_it_is_repaired(streaming: Stage) -> None:
    streaming.database.run(INSERT)
    streaming.caught_up()
    streaming.stop()
    streaming.database.run(
        "delete from stock.item where id <= 100",
        "update stock.item set name = 'changed in the gap' where id <= 200",
    )
    drop_slot(streaming.database.dsn, streaming.database.slot)
    streaming.database.run(INSERT)
    streaming.start()
    streaming.wait_for(lambda: streaming.state() == "stopped", "the stop")
    ((error,),) = streaming.target.run("select error from log.source_state")
    assert streaming.database.slot in error
    assert "headwater repair test" in error
    assert error in json.loads(streaming.heartbeat_text())["error"]
    assert streaming.target.run("select count(*) from raw_stock.item where not _deleted") == [(500,)]
    repair(streaming.source, streaming.target.dsn)
    streaming.settled()
    streaming.assert_equal("stock.item")
    streaming.assert_each_change_once()
    epochs = streaming.target.run("select epoch, reason from log.epoch order by epoch")
    assert epochs == [(1, "initial"), (2, "repair")]
    assert streaming.state() == "streaming"


def test_a_slot_made_anew_behind_our_back_is_a_gap(streaming: Stage) -> None:
    streaming.caught_up()
    streaming.stop()
    slot = streaming.database.slot
    drop_slot(streaming.database.dsn, slot)
    streaming.database.run(INSERT, f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    streaming.start()
    streaming.wait_for(lambda: streaming.state() == "stopped", "the stop")
    ((error,),) = streaming.target.run("select error from log.source_state")
    assert "gap from" in error


def test_a_stopped_source_leaves_others_alone(streaming: Stage) -> None:
    """Two sources in one process, of which one has lost its slot."""
    streaming.caught_up()
    streaming.stop()
    drop_slot(streaming.database.dsn, streaming.database.slot)
    streaming.database.run("create table stock.other (id int primary key)")
    other = streaming.sibling("other", "stock.other")
    streaming.start(other)
    streaming.wait_for(lambda: streaming.state() == "stopped", "the stop")
    streaming.wait_for(lambda: streaming.state("other") == "streaming", "the other source")
    assert json.loads(streaming.heartbeat_text())["detail"] == {"test": "stopped", "other": "streaming"}


def test_two_sources_do_not_write_to_one_mirror(streaming: Stage) -> None:
    other = streaming.sibling("other", "stock.item")
    streaming.stop()
    streaming.start(other)
    # Each time that it tries again it streams for a moment, and then has no error.
    stopped = "select error from log.source_state where source = 'other' and state = 'stopped'"
    ((error,),) = streaming.wait_for(lambda: streaming.target.run(stopped), "the stop")
    assert "the mirror of stock.item belongs to source test" in error
    streaming.database.run(INSERT)
    streaming.caught_up()
    streaming.assert_equal("stock.item")


def test_a_second_process_is_refused_and_the_first_lands_on(streaming: Stage) -> None:
    sink = WarehouseSink(streaming.target.dsn, "test", patience=0.2)
    with pytest.raises(SourceTaken, match=r"headwater landing test.*Only one may land a source"):
        sink.open()
    sink.close()
    streaming.database.run(INSERT)
    streaming.caught_up()
    assert streaming.state() == "streaming"


def test_a_successor_takes_over_from_a_killed_process_at_once(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    process = spawn(arguments(stage.source, stage.target.dsn, stage.heartbeat_file))
    stage.wait_for(lambda: stage.state() == "streaming", "the stream")
    stage.database.run(INSERT)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stage.start()
    stage.caught_up()
    stage.assert_equal("stock.item")
    stage.assert_each_change_once()


def test_sigterm_ends_the_process_in_time_with_all_stored_that_it_acknowledged(stage: Stage) -> None:
    stage.prepare(ITEM, publish=("stock.item",))
    process = spawn(arguments(stage.source, stage.target.dsn, stage.heartbeat_file))
    stage.wait_for(lambda: stage.state() == "streaming", "the stream")
    stage.database.run(INSERT)
    stage.caught_up()
    stage.database.run(*[INSERT] * 20)
    process.terminate()
    assert process.wait(10) == 0
    ((acknowledged,),) = stage.database.run(
        f"select confirmed_flush_lsn from pg_replication_slots where slot_name = '{stage.database.slot}'"
    )
    assert stage.target.run("select lsn >= %s from log.position", parameters=[acknowledged]) == [(True,)]
    ((stored,),) = stage.target.run("select count(*) from raw_stock.item")
    assert stored >= 500, "the first of them was waited for"
    assert stored % 500 == 0, "each is stored as a whole"
    # The slot still delivers the others, and none of those that were stored twice.
    stage.start()
    stage.caught_up()
    stage.assert_equal("stock.item")
    stage.assert_each_change_once()


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system of its own can only be mounted by root")
def test_a_full_disk_of_the_warehouse_is_waited_for(streaming: Stage, warehouse: Cluster, cluster_root: Path) -> None:
    """The mirror and the change log's partitions are moved to a file system of 24 MB, which is then filled up."""
    with streaming.small_disk(warehouse, cluster_root / "small", megabytes=24) as disk:
        streaming.database.run(INSERT)
        streaming.caught_up()
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        streaming.database.run(*[INSERT] * 10)
        streaming.wait_for(lambda: "53100" in streaming.heartbeat_text(), "the full disk in the heartbeat")
        streaming.database.run(INSERT)
        ballast.unlink()
        streaming.caught_up()
        streaming.assert_equal("stock.item")
        streaming.assert_each_change_once()
