"""One table read again because somebody asked, with a worker that lands or without one."""

from __future__ import annotations

import threading
from datetime import datetime

import psycopg
import pytest

from pipelines.landing import resnapshot
from pipelines.landing.errors import SourceTaken
from pipelines.landing.resnapshot import NotMirrored, StillWriting
from pipelines.landing.worker import drain
from pipelines.runtime import Heartbeat
from tests.pipelines.landing.stage import Stage

TABLES = (
    "create schema shop",
    "create table shop.item (id int primary key, name text)",
    "alter table shop.item replica identity full",
    "insert into shop.item select n, 'item ' || n from generate_series(1, 500) n",
)


@pytest.fixture
def shop(stage: Stage) -> Stage:
    stage.prepare(*TABLES, publish=("shop.item",))
    stage.streaming()
    return stage


def spoil(stage: Stage) -> None:
    """What a hand, or a defect, may do to a mirror: a value changed, a row gone, a row too many."""
    stage.target.run(
        "update raw_shop.item set name = 'spoilt' where id = 1",
        "delete from raw_shop.item where id = 2",
        "insert into raw_shop.item select 9999, 'ghost', _lsn, _seq, false, _committed_at from raw_shop.item limit 1",
    )


def finished(stage: Stage, request: int) -> bool:
    with stage.target.connect() as warehouse:
        return resnapshot.rows_read(warehouse, request, "shop.item")[1]


def test_the_resident_worker_reads_the_table_again_while_changes_stream(shop: Stage) -> None:
    spoil(shop)
    assert shop.mirror_rows("shop.item") != shop.source_rows("shop.item")
    request = resnapshot.request(shop.source, shop.target.dsn, "shop.item")
    shop.database.run("update shop.item set name = 'later' where id = 3", "delete from shop.item where id = 4")
    shop.wait_for(lambda: finished(shop, request), "the re-read")
    shop.settled()
    shop.assert_equal("shop.item")
    shop.assert_each_change_once()


def test_a_change_that_commits_after_the_request_is_not_lost_to_the_stamp(shop: Stage) -> None:
    """Its log position precedes the stamp, its commit follows: the request waits for it."""
    with psycopg.connect(shop.database.dsn) as writer:
        writer.execute("update shop.item set name = 'slow' where id = 7")
        asked: list[int] = []
        asking = threading.Thread(
            target=lambda: asked.append(resnapshot.request(shop.source, shop.target.dsn, "shop.item"))
        )
        asking.start()
        looks: set[datetime] = set()

        def waits() -> bool:
            """It has its stamp, and has looked more than once whether the writer has ended."""
            looks.update(
                began
                for (began,) in shop.database.run(
                    "select query_start from pg_stat_activity where application_name = 'headwater re-read'"
                    " and datname = current_database() and query like '%pg_snapshot_xmin%'"
                )
            )
            return len(looks) > 1

        shop.wait_for(waits, "the request to wait")
        assert asked == []
        writer.commit()
        asking.join()
    shop.wait_for(lambda: finished(shop, asked[0]), "the re-read")
    shop.settled()
    assert shop.target.run("select name from raw_shop.item where id = 7") == [("slow",)]
    shop.assert_equal("shop.item")


def test_a_transaction_that_never_ends_is_named_and_nothing_changes(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resnapshot, "WRITERS_TIMEOUT", 0.3)
    with psycopg.connect(shop.database.dsn) as writer:
        writer.execute("update shop.item set name = 'open' where id = 7")
        with pytest.raises(StillWriting, match=f"session {writer.info.backend_pid} "):
            resnapshot.request(shop.source, shop.target.dsn, "shop.item")
        writer.rollback()
    assert shop.target.run("select count(*) from log.snapshot where purpose = 'reread'") == [(0,)]


def test_an_unknown_table_is_refused(shop: Stage) -> None:
    with pytest.raises(NotMirrored, match=r"shop\.nothing"):
        resnapshot.request(shop.source, shop.target.dsn, "shop.nothing")


def test_asking_twice_reads_once(shop: Stage) -> None:
    shop.stop()
    first = resnapshot.request(shop.source, shop.target.dsn, "shop.item")
    assert resnapshot.request(shop.source, shop.target.dsn, "shop.item") == first


def test_without_a_resident_worker_a_drain_lands_to_now_reads_again_and_stops(shop: Stage) -> None:
    shop.stop()
    spoil(shop)
    shop.database.run("insert into shop.item values (1000, 'while nobody landed')")
    resnapshot.request(shop.source, shop.target.dsn, "shop.item")
    heartbeat = Heartbeat(shop.heartbeat_file, "landing")
    position = drain(shop.source, shop.target.dsn, heartbeat, threading.Event())
    shop.assert_equal("shop.item")
    shop.assert_each_change_once()
    assert shop.target.run("select lsn - '0/0' from log.position") == [(position.lsn,)]
    assert heartbeat.counted()["snapshot_rows"] == 500 + 1
    again = drain(shop.source, shop.target.dsn, Heartbeat(shop.heartbeat_file, "landing"), threading.Event())
    assert again.lsn >= position.lsn


def test_a_drain_leaves_the_source_to_the_resident_worker(shop: Stage) -> None:
    with pytest.raises(SourceTaken, match="another process"):
        drain(shop.source, shop.target.dsn, Heartbeat(shop.heartbeat_file, "landing"), threading.Event())
    assert shop.state() == "streaming"


def test_a_shape_that_changed_meanwhile_sweeps_nothing_away(shop: Stage) -> None:
    shop.stop()
    resnapshot.request(shop.source, shop.target.dsn, "shop.item")
    # the key is another one before the stream has told of it
    shop.database.run(
        "alter table shop.item drop constraint item_pkey, add column code int generated always as identity"
    )
    shop.database.run("alter table shop.item add primary key (code)")
    shop.streaming()
    shop.settled()
    assert len(shop.mirror_rows("shop.item")) == 500
