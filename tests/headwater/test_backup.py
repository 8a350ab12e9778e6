"""The drill: a backup under load, more writes, the home destroyed, and everything back as it was at the cut."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from headwater.backup.lake import named
from headwater.lake import lake
from tests.stack import Stack, eventually
from tests.storm.clients import Clients
from tests.storm.ledger import Ledger, Write
from tests.storm.ledger import check as ledger_agrees
from tests.storm.storm import databases, make_products
from tests.storm.verify import verify


@dataclass
class Drill:
    """A restored installation, and what was known of the destroyed one."""

    stack: Stack
    summary: dict[str, Any]
    ledger: Ledger
    login: str


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    backup = tmp_path_factory.mktemp("backups") / "monday"
    ledger = Ledger()
    lost, found = Stack(), Stack()
    try:
        lost.up()
        clients = Clients(lambda: lost.url, lost.token, ledger, count=3)
        clients.products = make_products(lost)
        clients.start()
        eventually(lambda: ledger.acknowledged > 60, 60, "the clients write")
        eventually(lambda: lake_files(lost), 90, "the lake has files")
        before = [write for write in ledger.writes if write.acknowledged]
        summary = json.loads(lost.run("backup", str(backup), "--json").stdout)
        at_the_end = ledger.acknowledged
        eventually(lambda: ledger.acknowledged > at_the_end + 20, 60, "the clients go on")
        clients.stop()
        login = lost.home.login.read_text()
        lost.run("down", "--erase", "--yes")
        found.run("restore", str(backup))
        found.up()
        yield Drill(found, summary, _as_of(ledger, before), login)
    finally:
        lost.close()
        found.close()


def lake_files(stack: Stack) -> set[str]:
    """Names of the files that the lake's catalogue holds."""
    with psycopg.connect(stack.config.warehouse_url("postgres")) as warehouse:
        return named(warehouse)


def _as_of(ledger: Ledger, before: list[Write]) -> Ledger:
    """Writes answered before the backup was asked for must be there; of later ones, each stands once or not at all."""
    # A link and its end share a token.
    known = {(write.kind, write.token) for write in before}
    writes = [copy(write) for write in ledger.writes]
    for write in writes:
        write.acknowledged = (write.kind, write.token) in known
    return Ledger(writes)


def test_writes_went_on_during_the_backup_and_it_is_exact(drill: Drill) -> None:
    (cut,) = drill.summary["sources"]
    assert cut["exact"], cut["why"]
    assert drill.summary["target"] == cut["landed"]


def test_every_write_that_was_acknowledged_before_is_there_once(drill: Drill) -> None:
    finding = ledger_agrees(drill.ledger, databases(drill.stack))
    assert finding.compared > 60
    assert finding.faults == []


def test_mirror_change_log_inboxes_and_replicas_agree_with_the_sources(drill: Drill) -> None:
    eventually(lambda: sum(row["pending"] for row in drill.stack.status()["deliveries"]) == 0, 60, "events are applied")
    deadline = time.monotonic() + 60
    while True:
        faults = [f"{finding.check}: {fault}" for finding in verify(databases(drill.stack)) for fault in finding.faults]
        if not faults or time.monotonic() > deadline:
            break
    assert faults == []


def test_nothing_was_read_again_and_a_new_epoch_says_why(drill: Drill) -> None:
    with psycopg.connect(drill.stack.config.warehouse_url()) as warehouse:
        epochs = warehouse.execute("select epoch, timeline, reason from log.epoch order by epoch").fetchall()
        assert [(epoch, reason) for epoch, _, reason in epochs] == [(1, "initial"), (2, "restore")]
        assert epochs[1][1] == epochs[0][1] + 1, "positions of the old history must never pass for new ones"
        reread = warehouse.execute("select count(*) from log.snapshot where epoch = 2").fetchone()
        assert reread == (0,)


def test_marts_equal_a_full_rebuild(drill: Drill) -> None:
    def rows() -> list[tuple[Any, ...]]:
        with psycopg.connect(drill.stack.config.warehouse_url("postgres")) as warehouse:
            return warehouse.execute(
                "select account_uuid, to_jsonb(c) - 'refreshed_at' from reporting.c360_account c order by 1"
            ).fetchall()

    def waiting() -> list[int]:
        return [row["pending"] for row in drill.stack.status()["sinks"] if row["sink"] == "refresh"]

    eventually(lambda: waiting() == [0], 60, "marts are up to date")
    standing = rows()
    assert standing
    drill.stack.run("rebuild", "+c360_account")
    assert rows() == standing


def test_the_lake_has_every_file_that_its_catalogue_names(drill: Drill) -> None:
    assert drill.summary["lake_missing"] == []
    files = lake_files(drill.stack)
    assert files
    assert files <= {path.name for path in lake(drill.stack.config).data.rglob("*.parquet")}


def test_history_from_before_the_backup_is_read_from_the_restored_lake(drill: Drill) -> None:
    with psycopg.connect(drill.stack.config.service_url("contacts", role="postgres")) as contacts:
        row = contacts.execute("select account_number from contacts.account order by account_number limit 1").fetchone()
    assert row is not None
    told = drill.stack.run("history", f"accounts/{row[0]}").stdout
    assert told.count("created  ") == 1


def test_the_search_is_built_anew(drill: Drill) -> None:
    """Its index is in no backup: a read model can always be thrown away."""
    with psycopg.connect(drill.stack.config.service_url("contacts", role="postgres")) as contacts:
        row = contacts.execute("select account_number, account_uuid::text from contacts.account limit 1").fetchone()
    assert row is not None
    number, key = row

    def found() -> bool:
        status, answer, _ = drill.stack.call("GET", f"/api/search?q={number}", token=drill.stack.token())
        return status == 200 and key in json.dumps(answer)

    eventually(found, 60, "the search finds an account of the lost installation")


def test_passwords_keys_and_login_are_the_old_ones(drill: Drill) -> None:
    assert drill.stack.home.login.read_text() == drill.login
    status, _, _ = drill.stack.call("GET", "/api/contacts/accounts?limit=1", token=drill.stack.token())
    assert status == 200


def test_doctor_finds_nothing(drill: Drill) -> None:
    eventually(lambda: drill.stack.run("doctor", check=False).returncode == 0, 30, "doctor is content")


def test_new_writes_flow_to_warehouse_marts_and_replicas(drill: Drill) -> None:
    token = drill.stack.token()
    body = {"name": "Phoenix Ltd", "account_type": "Customer"}
    status, made, _ = drill.stack.call("POST", "/api/contacts/accounts", body, token=token)
    assert status == 201
    key = made["account_uuid"]
    eventually(lambda: drill.stack.call("GET", f"/api/finance/account-profiles/{key}", token=token)[0] == 200)

    def arrived() -> bool:
        answered, read, _ = drill.stack.call("GET", f"/api/360/accounts/{key}", token=token)
        return answered == 200 and read["account"]["name"] == "Phoenix Ltd"

    eventually(arrived, 30, "the 360 shows the account")
