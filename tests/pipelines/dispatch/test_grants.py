"""A service's role reaches its own deliveries through the functions, and nothing else of the stream database."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg import errors

from pipelines.dispatch.schema import migrate
from tests.pipelines.dispatch.stream_database import SERVICES, StreamDatabase


@pytest.mark.parametrize(
    "statement",
    [
        "select * from stream.delivery",
        "update stream.delivery set attempts = 0",
        "delete from stream.delivery",
        "insert into stream.subscription values ('contacts', 'ACCOUNT_CREATED', '*')",
        "update stream.position set lsn = '0/0'",
        "select * from stream.malformed",
        "delete from stream.dispatched",
        "update stream.kafka_partition set next_offset = 0",
        "select * from stream.kafka_parked",
        "select * from stream.status",
        "update stream.lease set held_until = 'infinity'",
        "create table stream.mine ()",
        "create table public.mine ()",
        "select stream.take_lease('finance', 60)",
        "select stream.release('contacts', 'contacts', 'account', gen_random_uuid(), true)",
    ],
)
def test_a_service_role_has_no_right_on_tables_or_inner_functions(stream: StreamDatabase, statement: str) -> None:
    with stream.connect("hw_contacts") as contacts, pytest.raises(errors.InsufficientPrivilege):
        contacts.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "select * from stream.claim('finance')",
        "select stream.done('finance', array[gen_random_uuid()])",
        "select stream.fail('finance', gen_random_uuid(), 'x')",
        "select stream.replay('finance')",
        "select stream.subscribe('finance', array['ACCOUNT_CREATED'], array['*'])",
    ],
)
def test_a_service_role_acts_for_its_own_consumer_only(stream: StreamDatabase, statement: str) -> None:
    (event,) = stream.deliver("finance", [uuid.uuid4()])
    with (
        stream.connect("hw_contacts") as contacts,
        pytest.raises(errors.InsufficientPrivilege, match="hw_contacts may not act for consumer finance"),
    ):
        contacts.execute(statement.encode())
    assert [row["event_id"] for row in stream.rows("select event_id from stream.delivery")] == [event]


def test_a_name_of_ones_own_does_not_lead_a_function_astray(stream: StreamDatabase) -> None:
    """A temporary table named like one of the schema's must not be read by functions that run as its owner."""
    with stream.cluster.connect(stream.name) as superuser:
        superuser.execute(f"grant temporary on database {stream.name} to hw_contacts".encode())
    (event,) = stream.deliver("contacts", [uuid.uuid4()])
    with stream.connect("hw_contacts") as contacts:
        contacts.execute("create temporary table delivery (event_id uuid)")
        contacts.execute(
            "create function pg_temp.pg_try_advisory_lock(int, int) returns bool language sql return false"
        )
        contacts.execute("set search_path = pg_temp, stream")
        assert [row["event_id"] for row in contacts.execute("select * from stream.claim('contacts')")] == [event]


def test_migrating_again_changes_nothing(stream: StreamDatabase) -> None:
    stream.deliver("finance", [uuid.uuid4()])
    with psycopg.connect(stream.dsn("hw_dispatch"), autocommit=True) as owner:
        assert migrate(owner, [f"hw_{service}" for service in SERVICES]) == []
    assert len(stream.rows("select 1 from stream.delivery")) == 1


def test_subscribing_declares_the_whole_set(stream: StreamDatabase) -> None:
    stream.subscribe("finance", "ACCOUNT_CREATED", "ACCOUNT_UPDATED")
    stream.subscribe("orders", "ACCOUNT_CREATED")
    with stream.connect("hw_finance") as finance:
        finance.execute("select stream.subscribe('finance', array['ACCOUNT_UPDATED', 'USER_CHANGED'], array['*', '*'])")
    found = stream.rows("select consumer, event_type from stream.subscription order by 1, 2")
    assert [tuple(row.values()) for row in found] == [
        ("finance", "ACCOUNT_UPDATED"),
        ("finance", "USER_CHANGED"),
        ("orders", "ACCOUNT_CREATED"),
    ]
