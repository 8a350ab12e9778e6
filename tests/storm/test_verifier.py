"""The auditor must be able to find what it looks for: each fault is planted, and found under its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater.embedded.postgres import Cluster
from tests.storm import ledger
from tests.storm.ledger import Ledger
from tests.storm.verify import Databases, hot_marts_equal_rebuilt, verify

Connection = psycopg.Connection[Any]
ACCOUNT = "11111111-1111-1111-1111-111111111111"
EVENT = "22222222-2222-2222-2222-222222222222"

SOURCES = f"""
create schema contacts; create schema finance; create schema orders; create schema inventory; create schema identity;
create table contacts.account (account_uuid uuid primary key, version bigint, name text, account_type text, status text,
    billing_address jsonb, shipping_address jsonb, owner_id uuid, team_id uuid, territory_id uuid);
create table finance.account_profile (account_uuid uuid primary key, version bigint, replica_version bigint, name text,
    account_type text, account_status text, billing_address jsonb, owner_id uuid, team_id uuid, territory_id uuid,
    on_credit_hold boolean, hold_reason text);
create table orders.account_profile (account_uuid uuid primary key, version bigint, replica_version bigint, name text,
    account_type text, account_status text, billing_address jsonb, shipping_address jsonb, owner_id uuid, team_id uuid,
    territory_id uuid);
create table orders.product_replica (product_id uuid primary key, version bigint, replica_version bigint, sku text,
    name text, is_active boolean, list_price numeric, currency text);
create table inventory.product (id uuid primary key, version bigint, sku text, name text, is_active boolean,
    list_price numeric, currency text);
create table identity.note (id int primary key, said text);
{
    "".join(
        f'''
create table {s}.outbox (id uuid primary key, type text);
create table {s}.inbox (consumer text, event_id uuid, primary key (consumer, event_id));
'''
        for s in ("contacts", "finance", "orders", "inventory", "identity")
    )
}
create publication hw_landing for table contacts.account, contacts.outbox, finance.account_profile, identity.note;
insert into contacts.account (account_uuid, version, name, status) values ('{ACCOUNT}', 2, 'Acme', 'On Hold');
insert into finance.account_profile (account_uuid, version, replica_version, name, account_status, on_credit_hold)
    values ('{ACCOUNT}', 1, 2, 'Acme', 'On Hold', true);
insert into orders.account_profile (account_uuid, version, replica_version, name, account_status)
    values ('{ACCOUNT}', 1, 2, 'Acme', 'On Hold');
insert into identity.note values (1, 'once');
insert into contacts.outbox values ('{EVENT}', 'ACCOUNT_CREATED');
insert into finance.inbox values ('finance.account_profile', '{EVENT}');
insert into orders.inbox values ('orders.account_profile', '{EVENT}');
create schema stream;
create table stream.subscription (consumer text, event_type text);
create table stream.delivery (consumer text, type text, aggregate_id uuid, attempts int, last_error text);
create table stream.malformed (producer text, outbox_id text, error text);
insert into stream.subscription values ('finance', 'ACCOUNT_CREATED'), ('orders', 'ACCOUNT_CREATED');
"""

WAREHOUSE = f"""
create schema log; create schema raw_contacts; create schema raw_finance; create schema raw_identity;
create table log.change_log (source text, epoch int, xid bigint, lsn pg_lsn, seq int, op "char", schema_name text,
    table_name text, key jsonb, before jsonb, after jsonb);
create table raw_contacts.account (account_uuid uuid primary key, version bigint, name text, account_type text,
    status text, billing_address jsonb, shipping_address jsonb, owner_id uuid, team_id uuid, territory_id uuid,
    _lsn pg_lsn, _seq int, _deleted boolean default false, _committed_at timestamptz);
create table raw_finance.account_profile (account_uuid uuid primary key, version bigint, replica_version bigint,
    name text, account_type text, account_status text, billing_address jsonb, owner_id uuid, team_id uuid,
    territory_id uuid, on_credit_hold boolean, hold_reason text, _deleted boolean default false);
create table raw_identity.note (id int primary key, said text, _deleted boolean default false);
insert into raw_contacts.account (account_uuid, version, name, status) values ('{ACCOUNT}', 2, 'Acme', 'On Hold');
insert into raw_finance.account_profile (account_uuid, version, replica_version, name, account_status, on_credit_hold)
    values ('{ACCOUNT}', 1, 2, 'Acme', 'On Hold', true);
insert into raw_identity.note values (1, 'once');
insert into log.change_log values
    ('headwater', 1, 10, '0/10', 0, 'c', 'contacts', 'account', '{{"account_uuid": "{ACCOUNT}"}}', null,
     '{{"version": "1", "name": "Acme"}}'),
    ('headwater', 1, 11, '0/20', 0, 'u', 'contacts', 'account', '{{"account_uuid": "{ACCOUNT}"}}',
     '{{"version": "1", "name": "Acme", "industry": null}}', '{{"version": "2", "name": "Acme", "industry": "Token"}}'),
    ('headwater', 1, 12, '0/30', 0, 'c', 'finance', 'account_profile', '{{"account_uuid": "{ACCOUNT}"}}', null,
     '{{"version": "1"}}'),
    ('headwater', 1, 13, '0/40', 0, 'c', 'identity', 'note', '{{"id": "1"}}', null, '{{"said": "once"}}'),
    ('headwater', 1, 10, '0/11', 1, 'c', 'contacts', 'outbox', '{{"id": "{EVENT}"}}', null, '{{}}');
"""

AGAIN = """insert into log.change_log
select source, epoch, xid + 90, lsn, seq, op, schema_name, table_name, key, before, after from log.change_log"""
"""The same change in another transaction: no key of the log forbids it."""


@pytest.fixture
def databases(oltp: Cluster, warehouse: Cluster) -> Iterator[Databases]:
    """The least that the verifier reads, all of it in order."""
    for cluster, name, content in ((oltp, "verified", SOURCES), (warehouse, "verified", WAREHOUSE)):
        with cluster.connect() as server:
            server.execute(f"create database {name}".encode())
        with cluster.connect(name) as database:
            database.execute(content.encode())
    source = oltp.dsn("verified")
    yield Databases(
        dict.fromkeys(("contacts", "finance", "orders", "inventory", "identity"), source),
        source,
        warehouse.dsn("verified"),
    )
    for cluster in (oltp, warehouse):
        with cluster.connect() as server:
            server.execute("drop database verified with (force)")


def faults(databases: Databases) -> list[str]:
    return [f"{finding.check}: {fault}" for finding in verify(databases) for fault in finding.faults]


def run(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_nothing_is_found_where_nothing_is_wrong(databases: Databases) -> None:
    assert faults(databases) == []
    assert all(finding.compared for finding in verify(databases))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("delete from raw_identity.note", "rows of identity.note that the mirror lacks"),
        ("update raw_identity.note set said = 'Once'", "rows of identity.note that differ"),
        ("update raw_identity.note set _deleted = true", "rows of identity.note that the mirror lacks"),
        ("insert into raw_identity.note values (2, 'more')", "rows of identity.note that only the mirror has"),
        ("drop table raw_identity.note", "tables without a mirror: identity.note"),
        ("alter table raw_identity.note drop said", "columns absent in the mirror: identity.note.said"),
        ("insert into log.change_log select * from log.change_log where op = 'u'", "changes that stand twice"),
        (
            AGAIN + " where op = 'u'",
            "rows of contacts.account with a version that was logged twice",
        ),
        ("delete from log.change_log where op = 'u'", "rows of contacts.account that the log leaves behind"),
        (
            "delete from log.change_log where op = 'c' and table_name = 'account'",
            "rows of contacts.account with a version missing",
        ),
        (
            "delete from log.change_log where table_name = 'account'",
            "rows of contacts.account that the log does not know",
        ),
        ("delete from log.change_log where table_name = 'note'", "rows of identity.note that the log does not know"),
        (
            AGAIN + " where table_name = 'note'",
            "rows of identity.note that were logged twice",
        ),
        (
            """update log.change_log set key = '{"id": "7"}' where table_name = 'note'""",
            "rows of identity.note that only the log knows",
        ),
    ],
)
def test_faults_of_the_warehouse_are_found(databases: Databases, statement: str, found: str) -> None:
    run(databases.warehouse, statement)
    assert any(found in fault for fault in faults(databases)), faults(databases)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("delete from finance.inbox", "ACCOUNT_CREATED events that finance never applied"),
        (
            "insert into contacts.outbox values (gen_random_uuid(), 'ACCOUNT_CREATED')",
            "ACCOUNT_CREATED events that orders.account_profile never applied",
        ),
        ("delete from contacts.outbox", "events applied by finance.account_profile that nobody published"),
        (
            "insert into stream.delivery values ('finance', 'ACCOUNT_CREATED', gen_random_uuid(), 3, 'boom')",
            "deliveries that wait or are parked",
        ),
        ("insert into stream.malformed values ('contacts', '1', 'no type')", "outbox rows that are no events"),
        ("delete from orders.account_profile", "rows of contacts.account that orders.account_profile lacks"),
        ("update orders.account_profile set name = 'ACME'", "rows of orders.account_profile that differ"),
        ("update finance.account_profile set replica_version = 1", "rows of finance.account_profile that differ"),
        ("update contacts.account set status = 'Active'", "accounts whose status and hold disagree"),
    ],
)
def test_faults_between_the_services_are_found(databases: Databases, statement: str, found: str) -> None:
    run(databases.stream, statement)
    assert any(found in fault for fault in faults(databases)), faults(databases)


def test_a_lost_write_a_doubled_one_and_one_that_was_refused_and_happened_are_found(databases: Databases) -> None:
    known = Ledger()
    kept = known.open("Token", "update account")
    kept.acknowledged = True
    assert ledger.check(known, databases).faults == []
    lost = known.open("Never seen", "create account")
    lost.acknowledged = True
    unknown = known.open("Perhaps", "create account")
    assert unknown.acknowledged is False
    kept.acknowledged, kept.refused = False, "409"
    run(databases.warehouse, AGAIN + " where op = 'u'")
    assert ledger.check(known, databases).faults == [
        "1 acknowledged writes lost (create account): Never seen",
        "1 writes doubled (update account): Token",
        "1 refused writes that happened (update account): Token (409)",
    ]


def test_a_mart_that_is_not_what_its_sql_makes_is_found(databases: Databases, tmp_path: Path) -> None:
    run(
        databases.warehouse,
        "create schema marts; create table marts.names (account_uuid uuid, name text);"
        f" insert into marts.names values ('{ACCOUNT}', 'Acme')",
    )
    model = {
        "resource_type": "model",
        "schema": "marts",
        "name": "names",
        "config": {"meta": {"hot": {"key": "account_uuid"}}},
        "compiled_code": "select name, account_uuid from raw_contacts.account"
        " where /*hot_keys*/account_uuid/*hot_keys*/ and not _deleted",
    }
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"model.names": model}}))
    finding = hot_marts_equal_rebuilt(databases, manifest)
    assert (finding.compared, finding.faults) == (1, [])
    run(databases.warehouse, "insert into marts.names select * from marts.names")
    assert "rows of marts.names that a rebuild would not make" in hot_marts_equal_rebuilt(databases, manifest).faults[0]
    run(databases.warehouse, "delete from marts.names")
    assert "rows that marts.names lacks or has otherwise" in hot_marts_equal_rebuilt(databases, manifest).faults[0]
