"""What ``status`` promises to scripts."""

from __future__ import annotations

import json

from headwater.status import age, size
from headwater.supervisor.hold import held
from tests.stack import Stack, eventually

PROCESS = {
    "name": str,
    "pid": int | None,
    "state": str,
    "port": int | None,
    "processes": int,
    "memory_bytes": int,
    "cpu_seconds": float,
    "uptime_seconds": float | None,
    "restarts": int,
    "last_exit": str,
    "last_end": float | None,
    "since": float | None,
    "heartbeat": dict | None,
}


def test_status_for_scripts_keeps_its_shape(stack: Stack) -> None:
    eventually(lambda: len(stack.status()["sources"]) == 2)
    report = stack.status()
    assert list(report) == [
        "home",
        "state",
        "stage",
        "ports",
        "links",
        "memory_bytes",
        "processes",
        "sources",
        "sinks",
        "deliveries",
        "search",
        "parked",
        "splits",
        "migration",
        "problems",
    ]
    assert report["state"] == "running"
    assert report["problems"] == []
    assert set(report["ports"]) == {"web", "oltp", "warehouse", "dagster"}
    names = [row["name"] for row in report["processes"]]
    assert names == [
        "supervisor",
        "oltp",
        "warehouse",
        "web",
        "landing",
        "dispatch",
        "jobs",
        "search",
        "lake",
        "refresh",
    ]
    for row in report["processes"]:
        assert list(row) == list(PROCESS)
        for key, kind in PROCESS.items():
            assert isinstance(row[key], kind), (row["name"], key, row[key])
    assert report["memory_bytes"] == sum(row["memory_bytes"] for row in report["processes"])
    assert {row["slot"] for row in report["sources"]} == {"hw_landing", "hw_dispatch"}
    for row in report["sources"]:
        assert row["source"] == "headwater"
        assert row["lag_bytes"] >= 0
    landing = next(row for row in report["sinks"] if row["sink"] == "landing")
    assert landing["state"] == "streaming"
    assert landing["lag_seconds"] >= 0
    refresh = next(row for row in report["sinks"] if row["sink"] == "refresh")
    assert refresh["pending"] >= 0
    assert report["parked"] == {"changes": 0, "records": 0, "keys": 0, "events": 0, "malformed": 0}


def test_status_for_people_names_every_process(stack: Stack) -> None:
    shown = stack.run("status").stdout
    for name in ("supervisor", "oltp", "warehouse", "web", "landing", "dispatch", "jobs", "refresh", "hw_landing"):
        assert name in shown


def test_workers_report_that_they_live(stack: Stack) -> None:
    def beating() -> bool:
        report = stack.status()
        workers = [row for row in report["processes"] if row["name"] in ("landing", "dispatch", "jobs", "refresh")]
        return len(workers) == 4 and all(row["heartbeat"] for row in workers)

    eventually(beating)


def test_how_far_behind_a_source_is_that_gives_no_answer_nobody_knows(stack: Stack) -> None:
    def lags() -> list[float | None]:
        return [row["lag_seconds"] for row in stack.status()["sinks"] if row["sink"] == "landing"]

    with held(stack.home, "oltp"):
        assert lags() == [None]
        assert "≤" not in stack.run("status").stdout
    eventually(lambda: lags() != [None], 60, "the source to answer")
    eventually(stack.healthy, 60, "the API to answer")


def test_status_where_nothing_was_ever_started() -> None:
    empty = Stack()
    try:
        done = empty.run("status", "--json", check=False)
        assert done.returncode == 3
        report = json.loads(done.stdout)
        assert report["state"] == "stopped"
        assert report["processes"] == []
        assert "Run `headwater up`" in report["problems"][0]
    finally:
        empty.close()


def test_durations_and_sizes_for_people() -> None:
    assert [age(s) for s in (None, 0.42, 61, 7200, 200_000)] == ["–", "0.4 s", "1.0 min", "2.0 h", "2.3 d"]
    assert [size(n) for n in (None, 10, 2048, 3 << 20, 5 << 30)] == ["–", "10 B", "2.0 kB", "3.0 MB", "5.0 GB"]
