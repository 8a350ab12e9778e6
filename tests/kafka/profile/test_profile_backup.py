"""Backup and restore in the Kafka profile: every cluster comes back, Kafka's data do not, and nobody waits for them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from headwater import config
from headwater.config import SERVICES, Config
from headwater.embedded.account import unprivileged_account
from headwater.installation import clusters
from headwater.state import Home
from tests.kafka.profile.whole import WAIT, in_finance, make_account
from tests.stack import Stack, eventually

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def elsewhere() -> Iterator[Stack]:
    """An empty home, for what is restored."""
    root = Path(tempfile.mkdtemp(prefix="headwater-restored-"))
    root.chmod(0o711)
    made = Stack(root / "state")
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def test_a_backup_holds_every_cluster_and_a_restore_forgets_kafka(
    kafka: Stack, token: str, elsewhere: Stack, tmp_path: Path
) -> None:
    accounts = [make_account(kafka, token, f"Kept {number}") for number in range(3)]
    for account in accounts:
        eventually(lambda account=account: in_finance(kafka, token, account), WAIT, "Finance's copy")
    taken = json.loads(kafka.run("backup", str(tmp_path / "backup"), "--json", timeout=600).stdout)
    assert taken["clusters"].keys() == {"oltp-finance"}
    assert {source["source"] for source in taken["sources"]} == set(SERVICES)
    assert {source["why"] for source in taken["sources"]} == {"Kafka's data are in no backup"}

    after = make_account(kafka, token, "After the backup")
    restored = json.loads(elsewhere.run("restore", str(tmp_path / "backup"), "--json", timeout=600).stdout)
    again = [sentence for sentence in restored["said"] if "its tables are read again" in sentence]
    assert len(again) == len(SERVICES)
    settings = config.read(elsewhere.home.root)
    assert settings.profile == "kafka"
    assert not (elsewhere.home.root / "kafka" / "broker").exists(), "Kafka begins empty"
    found = look(elsewhere.home, settings, accounts, after)
    assert found == {
        "contacts": len(accounts),
        "finance": len(accounts),
        "after": 0,
        "epochs": {(source, "repair") for source in SERVICES},
        "offsets": 0,
        "slots": {f"hw_{kind}_{source}" for source in SERVICES for kind in ("landing", "dispatch")},
    }


def look(home: Home, settings: Config, accounts: list[str], after: str) -> dict[str, object]:
    """What the restored clusters hold, started for the moment."""
    account = unprivileged_account()
    running = [(cluster, cluster.start()) for cluster in clusters(home, settings, account)]
    try:
        known = "select count(*) from {} where account_uuid = any(%s)"
        slots: set[str] = set()
        for service in SERVICES:
            with psycopg.connect(settings.service_url(service, role="postgres")) as database:
                query = "select slot_name from pg_replication_slots where database = current_database()"
                slots |= {str(name) for (name,) in database.execute(query)}
        return {
            "contacts": one(
                settings.service_url("contacts", role="postgres"), known.format("contacts.account"), accounts
            ),
            "finance": one(
                settings.service_url("finance", role="postgres"), known.format("finance.account_profile"), accounts
            ),
            "after": one(settings.service_url("contacts", role="postgres"), known.format("contacts.account"), [after]),
            "epochs": epochs(settings),
            "offsets": one(settings.warehouse_url(), "select count(*) from log.kafka_partition")
            + one(settings.stream_url("postgres"), "select count(*) from stream.kafka_partition"),
            "slots": slots,
        }
    finally:
        for cluster, process in running:
            cluster.stop()
            process.wait()


def one(url: str, query: str, *parameters: object) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return int(row[0])


def epochs(settings: Config) -> set[tuple[str, str]]:
    """Each source with the reason of its last epoch."""
    with psycopg.connect(settings.warehouse_url()) as warehouse:
        query = "select distinct on (source) source, reason from log.epoch order by source, epoch desc"
        return {(str(source), str(reason)) for source, reason in warehouse.execute(query)}
