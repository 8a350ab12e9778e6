"""Accounts and credit holds between the services: command → outbox → slot → delivery → inbox → replica, and back.

Each test runs with all services in one database, and with Finance in a database of its own.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connections

import tests.bootstrap  # noqa: F401
from cdc.slots import create_slot, drop_slot
from cdc.sources.slot import SlotSource
from headwater.config import SERVICES, Config
from headwater.embedded.postgres import Cluster
from headwater.provision import oltp as provisioning
from tests.cast import Person, the_cast
from tests.pipelines.dispatch.dispatch_thread import DispatchThread, eventually
from tests.pipelines.dispatch.stream_database import StreamDatabase, create_stream_database
from tests.transactional.conftest import installation as installation
from tests.transactional.jobs_thread import JobsThread
from transactional.kernel.inbox import subscriptions

_numbers = itertools.count(1)


@dataclass
class Spine:
    """Services, dispatch and jobs workers, running. ``databases`` is service → name of its database."""

    cluster: Cluster
    config: Config
    databases: dict[str, str]
    stream: StreamDatabase
    person: Person
    workers: dict[str, JobsThread] = field(default_factory=dict)

    def rows(self, service: str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.cluster.dsn(self.databases[service])) as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def post(self, path: str, payload: Any = None) -> dict[str, Any]:
        answer = self.person.post(path, payload)
        assert answer.status_code in (200, 201), answer.content
        found: dict[str, Any] = json.loads(answer.content)
        return found

    def account(self, **fields: Any) -> UUID:
        return UUID(self.post("/api/contacts/accounts", {"name": "Acme"} | fields)["account_uuid"])

    def replica(self, service: str, account: UUID) -> tuple[str, str, int] | None:
        """(name, status, producer's version)."""
        found = self.rows(
            service,
            f"select name, account_status, replica_version from {service}.account_profile where account_uuid = %s",
            account,
        )
        return found[0] if found else None

    def status(self, account: UUID) -> str:
        ((status,),) = self.rows("contacts", "select status from contacts.account where account_uuid = %s", account)
        return str(status)

    def start(self, *services: str) -> None:
        for service in services:
            self.workers[service] = JobsThread({service: self.stream.dsn(f"hw_{service}")})

    def stop(self, service: str) -> None:
        self.workers.pop(service).stop()

    def settled(self) -> bool:
        return not self.stream.rows("select 1 from stream.delivery limit 1")


@pytest.fixture(scope="module", params=["one database", "finance apart"])
def databases(request: pytest.FixtureRequest, installation: Config, oltp: Cluster) -> Iterator[dict[str, str]]:
    """Service → database, each a copy of the migrated one in which the other services' schemas stay unused."""
    shared = f"spine_{next(_numbers)}"
    found = dict.fromkeys(SERVICES, shared)
    if request.param == "finance apart":
        found["finance"] = f"{shared}_finance"
    with oltp.connect() as server:
        for name in set(found.values()):
            server.execute(f"create database {name} template headwater".encode())
            hosted = [service for service in SERVICES if found[service] == name]
            provisioning.grant_connect(server, name, hosted)
    for service, name in found.items():
        connections.settings[service]["NAME"] = name
    yield found
    connections.close_all()
    for service in SERVICES:
        connections.settings[service]["NAME"] = "headwater"
    with oltp.connect() as server:
        for name in set(found.values()):
            server.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module")
def spine(
    databases: dict[str, str], installation: Config, oltp: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spine]:
    directory = tmp_path_factory.mktemp("spine")
    stream = create_stream_database(oltp, f"stream_{secrets.token_hex(4)}", SERVICES)
    for service in SERVICES:
        stream.subscribe(service, *subscriptions(service))
    replication = {
        name: oltp.dsn(name, user="hw_replication", password=installation.passwords["hw_replication"])
        for name in set(databases.values())
    }
    for name, dsn in replication.items():
        create_slot(dsn, f"hw_dispatch_{name}")
    readers = [
        SlotSource(name, dsn, slot=f"hw_dispatch_{name}", publications=["hw_dispatch"], spool_dir=directory)
        for name, dsn in replication.items()
    ]
    dispatch = DispatchThread.of(readers, stream, directory)
    running = Spine(oltp, installation, databases, stream, the_cast("sales_rep").admin)
    running.start("contacts", "finance", "orders")
    yield running
    for worker in running.workers.values():
        worker.stop()
    dispatch.stop()
    for name, dsn in replication.items():
        drop_slot(dsn, f"hw_dispatch_{name}")
    with oltp.connect() as server:
        server.execute(f"drop database {stream.name} with (force)".encode())


def test_an_account_reaches_the_replicas_and_so_does_every_change(spine: Spine) -> None:
    account = spine.account(name="Acme", billing_address={"line1": "1 Main St", "country": "US"})
    eventually(lambda: spine.replica("finance", account) == ("Acme", "Active", 1))
    eventually(lambda: spine.replica("orders", account) == ("Acme", "Active", 1))
    spine.post(f"/api/contacts/accounts/{account}/update", {"name": "Acme Ltd"})
    eventually(lambda: spine.replica("finance", account) == ("Acme Ltd", "Active", 2))
    eventually(lambda: spine.replica("orders", account) == ("Acme Ltd", "Active", 2))
    ((limit, address),) = spine.rows(
        "finance",
        "select credit_limit, billing_address->>'line1' from finance.account_profile where account_uuid = %s",
        account,
    )
    assert (limit, address) == (10000, "1 Main St")


@pytest.mark.parametrize("before", ["Active", "Inactive"])
def test_a_credit_hold_shows_in_contacts_and_its_release_restores_the_status_before(before: str, spine: Spine) -> None:
    account = spine.account(status=before)
    eventually(lambda: spine.replica("finance", account) is not None)
    spine.post(f"/api/finance/account-profiles/{account}/place-on-credit-hold", {"reason": "90 days overdue"})
    eventually(lambda: spine.status(account) == "On Hold")
    eventually(lambda: spine.replica("orders", account) == ("Acme", "On Hold", 2))
    spine.post(f"/api/finance/account-profiles/{account}/release-credit-hold")
    eventually(lambda: spine.status(account) == before)
    eventually(lambda: spine.replica("orders", account) == ("Acme", before, 3))
    eventually(lambda: spine.replica("finance", account) == ("Acme", before, 3))
    eventually(spine.settled)
    # Nothing is echoed: one event of Contacts a command, two of Finance, and no answer to an answer.
    assert spine.rows("contacts", "select count(*) from contacts.outbox where aggregate_id = %s", account) == [(3,)]
    assert spine.rows("finance", "select count(*) from finance.outbox where aggregate_id = %s", account) == [(2,)]


def test_finance_down_stops_neither_contacts_nor_orders_and_catches_up_in_order(spine: Spine) -> None:
    account = spine.account(name="0")
    eventually(lambda: spine.replica("finance", account) == ("0", "Active", 1))
    spine.stop("finance")
    for number in range(1, 21):
        spine.post(f"/api/contacts/accounts/{account}/update", {"name": str(number)})
    another = spine.account(name="new while Finance was down")
    eventually(lambda: spine.replica("orders", account) == ("20", "Active", 21))
    eventually(lambda: spine.replica("orders", another) is not None)
    eventually(lambda: _waiting(spine) == list(range(2, 22)))
    assert spine.replica("finance", account) == ("0", "Active", 1)
    spine.start("finance")
    eventually(lambda: spine.replica("finance", account) == ("20", "Active", 21))
    eventually(lambda: spine.replica("finance", another) is not None)
    eventually(spine.settled)
    ((applied,),) = spine.rows(
        "finance",
        "select count(*) from finance.inbox where consumer = 'finance.account_profile' and event_id = any(%s)",
        [row[0] for row in spine.rows("contacts", "select id from contacts.outbox where aggregate_id = %s", account)],
    )
    assert applied == 21


def _waiting(spine: Spine) -> list[int]:
    """Versions of the first account that wait for Finance, in the order in which it will get them."""
    rows = spine.stream.rows(
        "select aggregate_version as version from stream.delivery"
        " where consumer = 'finance' and type = 'ACCOUNT_UPDATED' order by id"
    )
    return [row["version"] for row in rows]


def test_who_did_it_travels_with_the_event(spine: Spine) -> None:
    """The change in Contacts that Finance's event causes names the event as its cause and keeps the correlation."""
    account = spine.account()
    eventually(lambda: spine.replica("finance", account) is not None)
    spine.post(f"/api/finance/account-profiles/{account}/place-on-credit-hold", {"reason": "90 days overdue"})
    eventually(lambda: spine.status(account) == "On Hold")
    ((cause, correlation),) = spine.rows(
        "finance", "select id, correlation_id from finance.outbox where aggregate_id = %s", account
    )
    caused = spine.rows(
        "contacts",
        "select causation_id, correlation_id from contacts.outbox where aggregate_id = %s and aggregate_version = 2",
        account,
    )
    assert caused == [(cause, correlation)]


def test_a_service_reaches_no_other_services_tables(spine: Spine, databases: dict[str, str]) -> None:
    password = spine.config.passwords["hw_contacts"]
    own = spine.cluster.dsn(databases["contacts"], user="hw_contacts", password=password)
    with psycopg.connect(own) as contacts, pytest.raises(psycopg.errors.InsufficientPrivilege):
        contacts.execute("select 1 from finance.account_profile")
    if databases["finance"] != databases["contacts"]:
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(spine.cluster.dsn(databases["finance"], user="hw_contacts", password=password))
