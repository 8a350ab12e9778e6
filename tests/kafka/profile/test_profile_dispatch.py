"""Events in the whole Kafka profile: from a command to another service's copy, whatever is lost or unreadable."""

from __future__ import annotations

import psycopg
import pytest
from confluent_kafka import Producer

from cdc.connect import Connect
from cdc.connectors import changes_topic, outbox_topic
from headwater.kafka import profile
from headwater.operations import Operations
from tests.kafka.profile.whole import WAIT, make_account
from tests.stack import Stack, eventually

CONNECTOR = "hw.contacts.outbox"
SLOT = "hw_dispatch_contacts"

pytestmark = pytest.mark.timeout(900)
"""The first test waits for the whole system to be prepared."""


def await_copy(stack: Stack, token: str, account: str) -> None:
    """Until Finance knows the account of Contacts."""

    def copied() -> bool:
        return bool(stack.call("GET", f"/api/finance/account-profiles/{account}", token=token)[0] == 200)

    eventually(copied, WAIT, f"Finance's copy of {account}")


def test_a_killed_dispatch_loses_no_event(kafka: Stack, token: str) -> None:
    before = [make_account(kafka, token, f"dispatch {number}") for number in range(5)]
    kafka.kill("dispatch")
    after = [make_account(kafka, token, f"dispatch {number}") for number in range(5, 10)]
    for account in (*before, *after):
        await_copy(kafka, token, account)


def test_a_lost_slot_of_dispatch_is_named_and_repaired(kafka: Stack, token: str) -> None:
    """What was written while nobody could read it is delivered from the outbox; landing is left alone."""
    with Connect(profile.connect_urls(kafka.config)) as connect:
        connect.stop(CONNECTOR)
        with psycopg.connect(kafka.config.service_url("contacts", role="postgres"), autocommit=True) as oltp:
            query = f"select active_pid from pg_replication_slots where slot_name = '{SLOT}'".encode()
            eventually(lambda: oltp.execute(query).fetchone() == (None,), WAIT, "the slot to be free")
            oltp.execute(f"select pg_drop_replication_slot('{SLOT}')".encode())
        lost = make_account(kafka, token, "written without a slot of dispatch")
        connect.resume(CONNECTOR)
    done = kafka.run("connectors", "status", check=False)
    assert done.returncode == 3
    assert f"replication slot {SLOT} does not exist" in done.stdout
    said = kafka.run("repair", "contacts").stdout
    assert "landing of contacts has no gap" in said
    assert "dispatch of contacts read" in said
    await_copy(kafka, token, lost)
    await_copy(kafka, token, make_account(kafka, token, "after the repair of dispatch"))
    assert "dispatch of contacts has no gap" in kafka.run("repair", "contacts").stdout


def test_unreadable_records_are_listed_and_tried_again(
    kafka: Stack, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = Producer({"bootstrap.servers": profile.bootstrap(kafka.config), "acks": "all", "log_level": 2})
    for topic in (changes_topic("contacts"), outbox_topic("contacts")):
        producer.produce(topic, b"\xff", b"key", partition=0)
    assert producer.flush(60) == 0

    def listed() -> bool:
        shown = kafka.run("parked", "list").stdout
        return f"record  {changes_topic('contacts')}[0]" in shown and f"record  {outbox_topic('contacts')}[0]" in shown

    eventually(listed, WAIT, "both records to be listed")
    monkeypatch.setenv("HEADWATER_HOME", str(kafka.home.root))
    shown = Operations()
    records = {item.where: item for item in shown.parked() if item.kind == "record"}
    assert records.keys() == {"landing of contacts", "dispatch of contacts"}, "on the Stream page, too"
    assert not records["dispatch of contacts"].replayable
    tried = shown.replay("record", records["landing of contacts"].key)
    assert tried == "Records of contacts: 0 read, with 0 new changes, 1 still unreadable."
    with pytest.raises(LookupError, match="not parked any more"):
        shown.replay("record", '["finance"]')
    assert "records of contacts: 0 read, with 0 new changes, 1 still unreadable" in kafka.run("parked", "replay").stdout
    await_copy(kafka, token, make_account(kafka, token, "after the unreadable ones"))
