"""Each check of a running system finds what was broken, names it, and the named command mends it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from cdc.slots import drop_slot
from headwater.doctor import Finding, examine, stream
from headwater.supervisor.hold import held
from tests.stack import Stack, eventually


def findings(stack: Stack) -> dict[str, list[Finding]]:
    return {name: found for name, found in examine(stack.home).items() if found}


def finds(stack: Stack, check: str, words: str = "") -> Callable[[], list[Finding]]:
    return lambda: [found for found in findings(stack).get(check, []) if words in found.what]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process exists and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(autouse=True)
def _healthy_afterwards(stack: Stack) -> Iterator[None]:
    yield
    eventually(lambda: not findings(stack), timeout=60, what="the doctor has nothing to say any more")


def test_a_healthy_system_has_no_findings(stack: Stack) -> None:
    eventually(lambda: not findings(stack), timeout=60)
    done = stack.run("doctor")
    assert "✗" not in done.stdout


def test_a_standby_that_everything_waits_for_is_named(stack: Stack) -> None:
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres"), autocommit=True) as oltp:
        oltp.execute("alter system set synchronized_standby_slots = 'standby_1, standby_2'")
        oltp.execute("select pg_reload_conf()")
        try:
            found = eventually(finds(stack, "standbys"))
        finally:
            oltp.execute("alter system reset synchronized_standby_slots")
            oltp.execute("select pg_reload_conf()")
    assert [("standby_1" in one.what, "standby_2" in one.what) for one in found] == [(True, False), (False, True)]
    assert all("synchronized_standby_slots" in one.command for one in found)
    eventually(lambda: not findings(stack), timeout=60)


def test_a_lost_slot_is_found_and_its_repair_loses_nothing(stack: Stack) -> None:
    token = stack.token()
    names = {"landing": "hw_landing", "dispatch": "hw_dispatch"}
    with held(stack.home, *names):
        for slot in names.values():
            assert drop_slot(stack.config.url(stack.config.oltp, "headwater", "postgres"), slot)
        body = {"name": "Written while no slot was there", "account_type": "Customer"}
        status, account, _ = stack.call("POST", "/api/contacts/accounts", body, token=token)
        assert status == 201
    found = eventually(lambda: len(both := finds(stack, "slots")()) == 2 and both)
    assert {one.command for one in found} == {"headwater repair headwater"}
    gap = eventually(finds(stack, "gaps"))
    assert gap[0].command == "headwater repair headwater"
    assert stack.run("doctor", check=False).returncode == 3

    said = stack.run("repair", "headwater").stdout
    assert "landing of headwater begins anew" in said
    assert "dispatch of headwater read" in said

    key = account["account_uuid"]
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        landed = "select from raw_contacts.account where account_uuid = %s and not _deleted"
        eventually(lambda: warehouse.execute(landed, [key]).fetchone() is not None)
    eventually(lambda: stack.call("GET", f"/api/finance/account-profiles/{key}", token=token)[0] == 200)


def test_landing_that_stands_still_without_an_error_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    eventually(lambda: "streaming" in {sink.get("state") for sink in stack.status()["sinks"]}, what="landing to stream")
    landing = stack.pid("landing")
    assert landing is not None
    with stopped(landing), monkeypatch.context() as soon:
        soon.setattr(stream, "BEHIND_SECONDS", 3.0)
        body = {"name": "Waits to be landed", "account_type": "Customer"}
        assert stack.call("POST", "/api/contacts/accounts", body, token=stack.token())[0] == 201
        (found,) = eventually(finds(stack, "behind"), 60)
    assert "Landing of headwater streams, but is " in found.what
    assert f"kill {landing}, and it begins again" in found.command


def test_repairing_what_is_whole_changes_nothing(stack: Stack) -> None:
    for sources in (["headwater"], ["all"], ["headwater", "headwater"]):
        said = stack.run("repair", *sources).stdout.splitlines()
        assert said == ["landing of headwater has no gap.", "dispatch of headwater has no gap."]


@pytest.mark.parametrize("sources", [["nowhere"], ["headwater", "nowhere"], ["nowhere", "all"], ["nowhere", "lake"]])
def test_a_source_that_is_not_there_is_named_and_no_other_is_repaired(stack: Stack, sources: list[str]) -> None:
    refused = stack.run("repair", "--force", *sources, check=False)
    assert refused.returncode == 1
    assert "there is no source 'nowhere'; there are headwater. Nothing was repaired." in refused.stderr
    assert refused.stdout == ""


def test_parked_and_malformed_events_are_found_listed_and_replayed(stack: Stack) -> None:
    with psycopg.connect(stack.config.stream_url("postgres"), autocommit=True) as database:
        database.execute(
            "insert into stream.delivery (consumer, event_id, source, producer, aggregate_type, aggregate_id,"
            " aggregate_version, type, schema_version, payload, occurred_at, attempts, last_error, parked_at, held)"
            " values ('finance', gen_random_uuid(), 'headwater', 'contacts', 'account', gen_random_uuid(), 1,"
            " 'NOBODY_HANDLES_THIS', 1, '{}', now(), 6, 'the handler fell over', now(), true)"
        )
        database.execute(
            "insert into stream.malformed (source, producer, outbox_id, image, error)"
            " values ('headwater', 'contacts', 'row 7', '{}', 'aggregate_id is absent')"
        )
        found = eventually(finds(stack, "parked"))
        assert "1 events that a service refused" in found[0].what
        assert found[0].command.startswith("headwater parked list")
        assert "1 outbox rows are no events" in found[1].what
        listed = stack.run("parked", "list").stdout
        assert "NOBODY_HANDLES_THIS" in listed
        assert "the handler fell over" in listed
        assert "row 7 (headwater) is no event: aggregate_id is absent" in listed
        assert "events for finance: 1 are tried again now" in stack.run("parked", "replay").stdout
        database.execute("delete from stream.delivery where type = 'NOBODY_HANDLES_THIS'")
        database.execute("delete from stream.malformed where outbox_id = 'row 7'")


def test_a_key_that_a_mart_refused_is_found_listed_and_tried_again(stack: Stack) -> None:
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        warehouse.execute(
            "insert into ops.parked_key (model, key, error, attempts, retry_at)"
            " values ('dim_account', gen_random_uuid()::text, 'division by zero', 3, now() + interval '1 hour')"
        )
        found = eventually(finds(stack, "parked"))
        assert "1 keys that a mart refused" in found[0].what
        assert "dim_account" in (listed := stack.run("parked", "list").stdout)
        assert "refused 3 times; division by zero" in listed
        assert "keys of marts: 1 are tried again now" in stack.run("parked", "replay").stdout
        eventually(lambda: warehouse.execute("select count(*) from ops.parked_key").fetchone() == (0,))


def test_a_worker_that_hangs(stack: Stack) -> None:
    pid = stack.pid("dispatch")
    assert pid is not None
    heartbeat = stack.home.heartbeat("dispatch")
    eventually(heartbeat.exists)
    with stopped(pid):
        long_ago = time.time() - 3600
        os.utime(heartbeat, (long_ago, long_ago))
        found = eventually(finds(stack, "heartbeats"))
        assert f"process {pid}" in found[0].what
        assert found[0].command.startswith(f"kill {pid}")


def test_a_database_that_gives_no_answer(stack: Stack) -> None:
    pid = stack.pid("oltp")
    assert pid is not None
    with stopped(pid):
        found = findings(stack)
    assert "PostgreSQL (oltp) takes no connection" in found["postgres"][0].what
    assert any(one.what.startswith("source headwater:") for one in found["databases"])
    assert "slots" not in found, "nobody can say that they are gone"


def test_a_port_taken_under_a_running_system(stack: Stack) -> None:
    port = stack.config.web_port
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with held(stack.home, "web"):
            thief.bind(("127.0.0.1", port))
            thief.listen()
        found = eventually(finds(stack, "port_conflicts"))
        assert f"Port {port} of web is taken by process {os.getpid()}" in found[0].what
        failing = eventually(finds(stack, "workers", "web fails"))
        assert str(stack.home.log("web")) in failing[0].command
    supervisor = stack.supervisor()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGUSR1)
    eventually(stack.healthy)


def test_wal_that_piles_up(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RETAINED_BYTES", -1)
    found = finds(stack, "piling")()
    assert len(found) == 2
    assert "WAL wait for slot" in found[0].what
    monkeypatch.undo()


def test_a_database_role_whose_password_was_changed(stack: Stack) -> None:
    config = stack.config
    with psycopg.connect(config.url(config.warehouse, "warehouse", "postgres"), autocommit=True) as warehouse:
        warehouse.execute("alter role wh_owner password 'something else'")
        try:
            found = finds(stack, "databases")()
            assert any("wh_owner" in one.what for one in found)
        finally:
            password = config.passwords["wh_owner"]
            warehouse.execute(sql.SQL("alter role wh_owner password {}").format(password))


def test_polled_schema_changes_are_named_and_the_command_installs_the_trigger(stack: Stack) -> None:
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres"), autocommit=True) as oltp:
        oltp.execute("drop event trigger headwater_ddl_command")
    stack.kill("landing")
    (finding,) = eventually(finds(stack, "schema_changes"), timeout=60)
    assert finding.command.startswith("headwater prepare databases")
    assert "polling its catalogue, the weaker mode" in finding.what
    assert "schema changes polled" in stack.run("status").stdout
    stack.run("prepare", "databases")
    stack.kill("landing")
    eventually(lambda: not finds(stack, "schema_changes")(), timeout=60)
