"""Resident workers tell what they did; whatever Dagster does, they neither wait nor fail."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.embedded.postgres import Cluster
from pipelines import reporting
from pipelines.reporting import CountedLook, LandingLook, Look, NotTaken, RefreshLook, Report, post, run
from pipelines.runtime import Heartbeat
from tests.marts import ACME, Marts, copy_of_marts, hot_manifest
from tests.mirror import Stream, put
from tests.pipelines.defs.servers import Hook, web_hook
from tests.stack import eventually


@pytest.fixture
def marts(warehouse: Cluster) -> Iterator[Marts]:
    with copy_of_marts(warehouse) as made:
        yield made


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as made:
        yield made


@pytest.fixture
def heartbeat(tmp_path: Path) -> Heartbeat:
    return Heartbeat(tmp_path / "worker.json", "worker")


def told(hook: Hook) -> list[str]:
    return [path.removeprefix("/report_asset_materialization/") for path, _ in hook.posts]


def look_once(look: Look, marts: Marts, hook: Hook, heartbeat: Heartbeat) -> list[str]:
    hook.posts.clear()
    reporting._report(look, ("127.0.0.1", hook.port), marts.dsn(), heartbeat)
    return told(hook)


def test_landing_names_the_change_log_and_the_mirrors_that_changed(
    marts: Marts, hook: Hook, heartbeat: Heartbeat
) -> None:
    look = LandingLook()
    with marts.connect() as owner:
        owner.execute(
            "insert into log.mirror (schema_name, table_name, source, relid, key)"
            " values ('contacts', 'account', 'headwater', 1, '{account_uuid}')"
        )
        look_once(look, marts, hook, heartbeat)
        assert look_once(look, marts, hook, heartbeat) == []
        Stream(owner).commit(put("contacts.account", account_uuid=ACME, name="Renamed"))
        assert look_once(look, marts, hook, heartbeat) == ["log/change_log", "raw_contacts/account"]
    metadata = hook.posts[1][1]["metadata"]
    assert metadata["changes since the last report"] == 1
    assert metadata["by"] == "resident worker"
    assert look_once(look, marts, hook, heartbeat) == []


def test_the_hot_lane_names_the_marts_that_it_refreshed(marts: Marts, hook: Hook, heartbeat: Heartbeat) -> None:
    from pipelines.refresh.worker import drain

    look = RefreshLook()
    look_once(look, marts, hook, heartbeat)
    with marts.connect() as owner:
        Stream(owner).commit(put("contacts.account", account_uuid=ACME, name="Renamed"))
    drain(marts.dsn(), hot_manifest().parent)
    found = look_once(look, marts, hook, heartbeat)
    assert found[0] == "ops/model_state"
    assert "marts/dim_account" in found
    assert look_once(look, marts, hook, heartbeat) == []


def test_a_worker_that_counts_reports_when_it_has_counted(marts: Marts, hook: Hook, heartbeat: Heartbeat) -> None:
    look = CountedLook((("lake", "changes"),), "lake", by_day=True)
    assert look_once(look, marts, hook, heartbeat) == []
    heartbeat.progress(loads=1, changes=3)
    assert look_once(look, marts, hook, heartbeat) == ["lake/changes"]
    assert hook.posts[0][1]["partition"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert hook.posts[0][1]["metadata"]["changes"] == 3
    assert look_once(look, marts, hook, heartbeat) == []


def test_what_dagster_did_not_take_is_told_again(marts: Marts, hook: Hook, heartbeat: Heartbeat) -> None:
    look = CountedLook((("search", "account"),), "search")
    heartbeat.progress(passes=1)
    hook.status = 500
    with pytest.raises(NotTaken, match="500"):
        look_once(look, marts, hook, heartbeat)
    hook.status = 200
    assert look_once(look, marts, hook, heartbeat) == ["search/account"]


def test_reports_come_at_most_so_often_and_survive_dagster_s_death(
    marts: Marts, hook: Hook, heartbeat: Heartbeat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="pipelines.reporting")
    stop = threading.Event()
    arguments = (CountedLook((("search", "order"),), "search"), ("127.0.0.1", hook.port), marts.dsn(), heartbeat, stop)
    every = 0.3
    thread = threading.Thread(target=run, args=arguments, kwargs={"every": every})

    def reported(times: int) -> bool:
        heartbeat.progress(passes=1)
        return len(hook.posts) >= times

    began = time.monotonic()
    thread.start()
    try:
        eventually(lambda: reported(3), 60, "three reports")
        told = len(hook.posts)
        assert told <= (time.monotonic() - began) / every + 1
        hook.status = 503
        heartbeat.progress(passes=1)
        eventually(lambda: "told nothing" in caplog.text or not thread.is_alive(), 10, "it noticed")
        hook.status = 200
        hook.posts.clear()
        eventually(lambda: hook.posts, 10, "it goes on")
    finally:
        stop.set()
        thread.join()


def test_a_dagster_that_never_answers_costs_a_few_seconds_of_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(OSError, match="timed out"):
            post(Report(("log", "change_log"), {}), silent.getsockname())
        assert time.monotonic() - began < 5


def test_where_no_dagster_listens_nothing_is_asked(heartbeat: Heartbeat) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    with pytest.raises(ConnectionRefusedError):
        reporting._report(RefreshLook(), address, "postgresql://nowhere", heartbeat)
