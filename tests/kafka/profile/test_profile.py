"""`headwater up --profile kafka`: writes go through Debezium and Kafka to the 360, whatever is killed on the way."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from cdc.connect import Connect
from headwater.config import SERVICES, ConfigError
from headwater.connectors import Connectors
from headwater.kafka import profile
from headwater.supervisor.hold import held
from tests.kafka.profile.whole import WAIT, account_360, in_finance, landed, make_account, try_account
from tests.stack import Stack, eventually

CONNECTOR = "hw.contacts.changes"

pytestmark = pytest.mark.timeout(1500)
"""The first test waits for the whole system to be prepared."""


def test_a_write_reaches_the_360_with_who_made_it_and_the_services_that_keep_a_copy(kafka: Stack, token: str) -> None:
    account = make_account(kafka, token, "Acme Rockets")

    def makers() -> list[str]:
        """By a topic of its own, so it may come after the account."""
        timeline = account_360(kafka, token, account)["timeline"]
        return [entry["actor_name"] for entry in timeline if entry["command"] == "contacts.create_account"]

    assert eventually(makers, WAIT, "who made it") == ["admin"]
    eventually(partial(in_finance, kafka, token, account), WAIT, "Finance's copy")


def test_status_and_doctor_know_the_profile(kafka: Stack) -> None:
    names = {process["name"]: process["state"] for process in kafka.status()["processes"]}
    services = [each for service in SERVICES for each in (service, f"jobs-{service}")]
    for name in (
        "gateway",
        "broker",
        *profile.WORKERS,
        "connectors",
        "landing",
        "landing-2",
        "oltp-finance",
        *services,
    ):
        assert names[name] == "running", name
    findings = json.loads(kafka.run("doctor", "--json", check=False).stdout)
    looked_at = ("connectors", "port_conflicts", "postgres", "gateway")
    assert [finding for finding in findings if finding["check"] in looked_at] == []
    assert "Connectors are as they are to be." in kafka.run("connectors", "plan").stdout
    assert f"{CONNECTOR}: RUNNING" in kafka.run("connectors", "status").stdout


@pytest.mark.parametrize(
    "victim",
    [
        "broker",
        "connect-1",
        "connect-2",
        "landing",
        "landing-2",
        "contacts",
        "finance",
        "gateway",
        "connectors",
        "oltp-finance",
        "oltp",
    ],
)
def test_a_killed_process_loses_and_doubles_nothing(kafka: Stack, token: str, victim: str) -> None:
    before = [make_account(kafka, token, f"{victim} {number}") for number in range(5)]
    kafka.kill(victim)
    eventually(lambda: kafka.pid(victim), WAIT, f"{victim} to be started again")
    eventually(kafka.healthy, WAIT, "the application to answer")
    after = [eventually(partial(try_account, kafka, token, f"{victim} {n}"), WAIT, "a write") for n in range(5, 10)]
    for account in (*before, *after):
        account_360(kafka, token, account)
        eventually(partial(in_finance, kafka, token, account), WAIT, f"Finance's copy of {account}")
    assert landed(kafka, *before, *after) == dict.fromkeys((*before, *after), 1)


def test_a_difference_is_shown_before_it_is_made_good(kafka: Stack) -> None:
    with Connect(profile.connect_urls(kafka.config)) as connect:
        config = connect.config(CONNECTOR)
        assert config is not None
        path = f"{profile.connect_urls(kafka.config)[0]}/connectors/{CONNECTOR}/config"
        other = config | {"max.batch.size": "100", "database.password": kafka.config.passwords["hw_replication"]}
        assert httpx.put(path, json=other, timeout=60, trust_env=False).is_success
        eventually(lambda: (connect.config(CONNECTOR) or {}).get("max.batch.size") == "100", WAIT, "the other setting")
        shown = kafka.run("connectors", "plan").stdout
        assert "~ max.batch.size: 100 → 8192" in shown
        assert "~ database.password: (hidden) → ${secrets:" in shown
        assert kafka.config.passwords["hw_replication"] not in shown
        assert (connect.config(CONNECTOR) or {})["max.batch.size"] == "100"
        findings = json.loads(kafka.run("doctor", "--json", check=False).stdout)
        assert [f["command"] for f in findings if f["check"] == "connectors"] == ["headwater connectors apply"]
        assert f"Changed {CONNECTOR}." in kafka.run("connectors", "apply").stdout
        eventually(lambda: (connect.config(CONNECTOR) or {}).get("max.batch.size") == "8192", WAIT, "ours again")
        assert "Nothing had to change." in kafka.run("connectors", "apply").stdout


def test_a_deleted_connector_is_missed_and_goes_on_when_made_anew(kafka: Stack, token: str) -> None:
    with Connect(profile.connect_urls(kafka.config)) as connect:
        connect.delete(CONNECTOR)
    done = kafka.run("connectors", "status", check=False)
    assert (done.returncode, "headwater connectors apply" in done.stdout) == (3, True)
    meanwhile = make_account(kafka, token, "written while nobody reads")
    kafka.run("connectors", "apply")
    account_360(kafka, token, meanwhile)


def test_status_tells_what_it_knows_of_landing_while_kafka_is_away(kafka: Stack) -> None:
    def landings(report: dict[str, Any]) -> dict[str, float | None]:
        return {row["source"]: row["lag_seconds"] for row in report["sinks"] if row["sink"] == "landing"}

    sources = kafka.config.source_databases()
    with held(kafka.home, "broker"):
        report = kafka.status()
        assert landings(report) == dict.fromkeys(sources), "how far behind each is, nobody knows"
        (problem,) = report["problems"]
        assert "no Kafka broker answers" in problem
        assert report["parked"]["changes"] is not None
        assert "≤" not in kafka.run("status").stdout
    eventually(lambda: None not in landings(kafka.status()).values(), WAIT, "the lag to be known again")
    assert landings(kafka.status()).keys() == sources.keys()
    eventually(lambda: kafka.run("connectors", "status", check=False).returncode == 0, WAIT, "every connector to run")


def test_connectors_belong_to_the_kafka_profile(kafka: Stack) -> None:
    embedded = replace(kafka.config, kafka_ports={})
    with pytest.raises(ConfigError, match="without Kafka"):
        Connectors(kafka.home, embedded)


def test_the_profile_stays_what_it_was_at_the_first_start(kafka: Stack) -> None:
    refused = kafka.run("up", "--detach", "--profile", "embedded", check=False)
    assert refused.returncode == 1
    assert "runs in the kafka profile, and a start does not change that" in refused.stderr


def test_a_lost_slot_is_named_and_repaired(kafka: Stack, token: str) -> None:
    """What was written while nobody could read it arrives with the tables, which are read again."""
    with Connect(profile.connect_urls(kafka.config)) as connect:
        connect.stop(CONNECTOR)
        with psycopg.connect(kafka.config.service_url("contacts", role="postgres"), autocommit=True) as oltp:
            query = "select active_pid from pg_replication_slots where slot_name = 'hw_landing_contacts'"
            eventually(lambda: oltp.execute(query).fetchone() == (None,), WAIT, "the slot to be free")
            oltp.execute("select pg_drop_replication_slot('hw_landing_contacts')")
        lost = make_account(kafka, token, "written without a slot")
        connect.resume(CONNECTOR)
    done = kafka.run("connectors", "status", check=False)
    assert done.returncode == 3
    assert "replication slot hw_landing_contacts does not exist" in done.stdout
    assert "begins anew" in kafka.run("repair", "contacts").stdout
    account_360(kafka, token, lost)
    account_360(kafka, token, make_account(kafka, token, "after the repair"))


def test_kafka_that_was_made_anew_is_named_and_repaired(kafka: Stack, token: str) -> None:
    account = make_account(kafka, token, "before the loss")
    kafka.down()
    shutil.rmtree(kafka.home.root / "kafka" / "broker")
    kafka.run("up", "--detach", "--no-demo", "--no-dagster", timeout=600)

    def refused() -> bool:
        landings = [row for row in kafka.status()["sinks"] if row["sink"] == "landing"]
        known = len(landings) == len(kafka.config.source_databases())
        return known and all("it was made anew" in str(row["error"]) for row in landings)

    eventually(refused, WAIT, "landing to name the other cluster")
    meanwhile = make_account(kafka, token, "after the loss")
    said = kafka.run("repair", "all").stdout
    for source in kafka.config.source_databases():
        assert f"landing of {source} begins anew" in said
        assert f"dispatch of {source} read" in said
    for one in (account, meanwhile, make_account(kafka, token, "after the repair")):
        account_360(kafka, token, one)
    assert "has no gap" in kafka.run("repair", "contacts").stdout
