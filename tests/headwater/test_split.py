"""Finance moves into a cluster of its own while everybody writes, and its mover is killed after every step."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from headwater.embedded.postgres import OLTP, Cluster, free_port
from headwater.splitting.run import FAILPOINTS
from headwater.splitting.state import half_done
from tests.others_cluster import cluster, url
from tests.stack import Stack, eventually
from tests.storm.clients import Clients
from tests.storm.ledger import Ledger
from tests.storm.ledger import check as ledger_agrees
from tests.storm.storm import databases, make_products
from tests.storm.verify import verify

pytestmark = pytest.mark.timeout(900)

EXAMINED = ("split.after_fence", "split.after_slots", "split.after_placed")
"""Points after which doctor is asked, which takes a second each time."""

PROFILES = "/api/finance/account-profiles"


@pytest.fixture(scope="module")
def target() -> Iterator[Cluster]:
    with cluster(OLTP) as made:
        yield made


class Neighbour(threading.Thread):
    """Somebody who creates accounts in Contacts, one after the other, and wants each at the first attempt."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.base, self.token = stack.url, stack.token
        self.written = 0
        self.refused: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        bearer = self.token()
        with httpx.Client(timeout=60) as http:
            while not self.done.wait(0.1):
                body = {"name": f"Neighbour {self.written}", "account_type": "Customer"}
                authorization = {"Authorization": f"Bearer {bearer}"}
                answer = http.post(f"{self.base}/api/contacts/accounts", json=body, headers=authorization)
                if answer.status_code == 401:
                    bearer = self.token()
                elif answer.status_code == 201:
                    self.written += 1
                else:
                    self.refused.append(answer.text)


@dataclass
class Move:
    """``told``: what doctor said after each kill. ``account`` was held before the move and released after it."""

    stack: Stack
    target: Cluster
    ledger: Ledger
    neighbour: Neighbour
    account: str
    read_before: int
    told: dict[str, str]
    said: str


@pytest.fixture(scope="module")
def move(target: Cluster) -> Iterator[Move]:
    stack = Stack()
    try:
        stack.up()
        yield moved(stack, target)
    finally:
        stack.close()


def moved(stack: Stack, target: Cluster) -> Move:
    account = company(stack)
    hold = {"reason": "Before the move"}
    held, *_ = stack.call("POST", f"{PROFILES}/{account}/place-on-credit-hold", hold, token=stack.token())
    assert held == 200
    ledger = Ledger()
    clients = Clients(lambda: stack.url, stack.token, ledger, count=3)
    clients.products = make_products(stack)
    neighbour = Neighbour(stack)
    neighbour.start()
    clients.start()
    eventually(lambda: ledger.summary().get("place hold", 0) > 3, 90, "Finance is written")
    with psycopg.connect(stack.config.warehouse_url()) as warehouse:
        read_before = read(warehouse)
    told: dict[str, str] = {}
    for point in FAILPOINTS:
        armed = Stack(stack.home.root, {"HEADWATER_FAILPOINT": point})
        killed = armed.run("split", "finance", *([] if told else ["--to", url(target)]), check=False)
        assert killed.returncode == -signal.SIGKILL, (point, killed.stdout, killed.stderr)
        told[point] = stack.run("doctor", check=False).stdout if point in EXAMINED else ""
        assert half_done(stack.home), point
    said = stack.run("split", "finance").stdout
    before = ledger.summary()["place hold"]
    eventually(lambda: ledger.summary()["place hold"] > before + 3, 90, "Finance is written again")
    clients.stop()
    neighbour.done.set()
    neighbour.join(90)
    released, *_ = stack.call("POST", f"{PROFILES}/{account}/release-credit-hold", {}, token=stack.token())
    assert released == 200
    return Move(stack, target, ledger, neighbour, account, read_before, told, said)


def company(stack: Stack) -> str:
    """Alice keeps the books of the north, Bob has no role there, Charlie keeps those of the south. An account of the
    north that Finance knows."""
    token = stack.token()

    def make(path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, made, _ = stack.call("POST", path, body, token=token)
        assert status == 201, made
        return made

    north, south = (
        make("/api/identity/territories", {"name": name, "country_code": "US", "group_name": "America"})["id"]
        for name in ("North", "South")
    )
    for name, roles, place in (
        ("alice", ["accountant"], north),
        ("bob", [], north),
        ("charlie", ["accountant"], south),
    ):
        person = {"username": name, "display_name": name, "password": uuid.uuid4().hex, "roles": roles}
        make("/api/identity/users", person | {"territory_ids": [place]})
    body = {"name": "Moved Ltd", "account_type": "Customer", "territory_id": north}
    account = str(make("/api/contacts/accounts", body)["account_uuid"])
    eventually(lambda: stack.call("GET", f"{PROFILES}/{account}", token=token)[0] == 200, 90)
    return account


def read(warehouse: psycopg.Connection[Any]) -> int:
    """How many rows were read from tables, not from the stream."""
    row = warehouse.execute("select count(*) from log.change_log where op = 'r'").fetchone()
    assert row is not None
    return int(row[0])


def test_after_each_kill_doctor_says_what_goes_on(move: Move) -> None:
    assert set(move.told) == set(FAILPOINTS)
    for point in EXAMINED:
        told = move.told[point]
        assert f"finance is on its way to 127.0.0.1:{move.target.port}/finance" in told, point
        assert "→ headwater split finance" in told, point
    assert "nobody can write it" in move.told["split.after_fence"]
    assert "--give-up" in move.told["split.after_slots"]
    assert "--give-up" not in move.told["split.after_placed"]
    assert "finance lives in" in move.said


def test_every_acknowledged_write_stands_once(move: Move) -> None:
    finding = ledger_agrees(move.ledger, databases(move.stack))
    assert finding.compared > 60
    assert finding.faults == []


def test_mirror_change_log_events_and_replicas_agree_with_the_sources(move: Move) -> None:
    """Versions of a row form one chain over both sources; each event is in its subscribers' inboxes."""
    where = databases(move.stack)
    assert str(move.target.port) in where.services["finance"]
    deadline = time.monotonic() + 90
    while True:
        faults = [f"{finding.check}: {fault}" for finding in verify(where) for fault in finding.faults]
        if not faults or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert faults == []


def test_nothing_was_read_again(move: Move) -> None:
    with psycopg.connect(move.stack.config.warehouse_url()) as warehouse:
        assert read(warehouse) == move.read_before
        epochs = "select source, epoch, reason from log.epoch where source <> 'inventory' order by 1, 2"
        assert warehouse.execute(epochs).fetchall() == [("finance", 1, "split"), ("headwater", 1, "initial")]
        sources = warehouse.execute(
            "select distinct source from log.change_log where schema_name = 'finance' order by 1"
        ).fetchall()
        assert sources == [("finance",), ("headwater",)]


def test_other_services_were_never_paused(move: Move) -> None:
    assert move.neighbour.written > 20
    assert move.neighbour.refused == []


def test_the_timeline_is_whole_across_the_move(move: Move) -> None:
    def told() -> list[int]:
        path = f"/api/360/accounts/{move.account}/timeline?limit=100"
        status, found, _ = move.stack.call("GET", path, token=move.stack.token())
        assert status == 200, found
        text = json.dumps(found)
        return [text.count(f'"finance.{verb}_credit_hold"') for verb in ("place_on", "release")]

    eventually(lambda: told() == [1, 1], 90, "both commands, each once")


def test_who_may_is_the_same_there(move: Move) -> None:
    path, body = f"{PROFILES}/{move.account}/set-credit-limit", {"credit_limit": "4711"}
    for name, status in (("alice", 200), ("bob", 403), ("charlie", 404)):
        assert move.stack.call("POST", path, body, token=move.stack.token(name))[0] == status, name


def test_the_old_database_is_closed_to_the_service(move: Move) -> None:
    config = move.stack.config
    for role in ("hw_finance", "hw_finance_owner"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(config.url(config.oltp, "headwater", role))
    with psycopg.connect(config.url(config.oltp, "headwater", "postgres")) as old:
        rights = (
            "select c.relname, role from pg_class c, unnest('{hw_finance,hw_finance_owner}'::name[]) role"
            " where c.relnamespace = 'finance'::regnamespace and c.relkind = 'r'"
            " and (pg_get_userbyid(c.relowner) = role or has_table_privilege(role, c.oid, 'insert, update, delete')"
            "  or has_schema_privilege(role, 'finance', 'usage, create'))"
        )
        for nothing in (
            rights,
            "select slot_name from pg_replication_slots where slot_name like 'hw_split%' or slot_name like 'pg_%'",
            "select rolname from pg_roles where rolname like 'hw_split%'",
            "select tablename from pg_publication_tables where schemaname = 'finance'",
        ):
            assert old.execute(nothing.encode()).fetchall() == []
    with psycopg.connect(config.service_url("finance", role="postgres")) as new:
        assert new.execute("select subname from pg_subscription").fetchall() == []


def test_it_stays_there_and_the_old_tables_can_go(target: Cluster, move: Move) -> None:
    stack = move.stack
    refused = stack.run("split", "finance", "--to", url(target), check=False)
    assert "is in" in refused.stderr
    backup = stack.run("backup", str(stack.home.root / "backup"), check=False)
    assert f"finance lives in a cluster of its own at 127.0.0.1:{target.port}" in backup.stderr
    stack.down()
    stack.up()
    limit = {"credit_limit": "815"}
    path = f"{PROFILES}/{move.account}/set-credit-limit"
    status, profile, headers = stack.call("POST", path, limit, token=stack.token())
    assert status == 200
    assert headers["headwater-position"].startswith("finance=")
    body = {"name": "Written after the start", "account_type": "Customer"}
    status, account, headers = stack.call("POST", "/api/contacts/accounts", body, token=stack.token())
    assert status == 201
    assert headers["headwater-position"].startswith("headwater=")
    if "finance" in {path.stem for path in stack.home.root.glob("splits/*")}:
        stack.run("split", "finance", "--drop-old")
    with psycopg.connect(stack.config.url(stack.config.oltp, "headwater", "postgres")) as old:
        assert old.execute("select nspname from pg_namespace where nspname = 'finance'").fetchall() == []
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as warehouse:
        # What ``states`` said before the stop still stands; each source lands what was written after the start.
        for table, key in (
            ("raw_finance.account_profile", [profile["version"], move.account]),
            ("raw_contacts.account", [account["version"], account["account_uuid"]]),
        ):
            landed = f"select version >= %s and not _deleted from {table} where account_uuid = %s".encode()
            eventually(lambda landed=landed, key=key: warehouse.execute(landed, key).fetchone() == (True,), 90, table)
        states = "select state from log.source_state where source in ('finance', 'headwater')"
        assert warehouse.execute(states).fetchall() == [("streaming",), ("streaming",)]


def test_a_database_of_the_same_cluster_will_do(move: Move) -> None:
    stack = move.stack
    stack.run("split", "inventory", "--to", f"postgresql://postgres@127.0.0.1:{stack.config.oltp.port}/stock")
    assert stack.config.service_url("inventory").endswith(f":{stack.config.oltp.port}/stock")
    body = {"sku": "APART-1", "name": "Apart", "list_price": "1", "sell_start": "2020-01-01"}
    status, product, headers = stack.call("POST", "/api/inventory/products", body, token=stack.token())
    assert status == 201
    assert headers["headwater-position"].startswith("inventory=")
    for dsn, query in (
        (
            stack.config.warehouse_url(),
            "select source = 'inventory' from log.change_log where table_name = 'product' and after ->> 'id' = %s",
        ),
        (
            stack.config.service_url("orders", role="postgres"),
            "select is_active from orders.product_replica where product_id::text = %s",
        ),
    ):
        await_truth(dsn, query, product["id"])


def await_truth(dsn: str, query: str, key: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as database:
        eventually(lambda: database.execute(query.encode(), [key]).fetchone() == (True,), 90, query)


def facts(stack: Stack, where: Cluster) -> list[Any]:
    """What a refused split could have changed."""
    found: list[Any] = [stack.home.config.read_text(), sorted(path.name for path in stack.home.root.glob("splits/*"))]
    config = stack.config
    for dsn in (config.url(config.oltp, "headwater", "postgres"), where.dsn()):
        with psycopg.connect(dsn) as connection:
            for what in (
                "select rolname from pg_roles",
                "select datname, (select array_agg(acl::text order by acl::text) from unnest(datacl) acl)"
                " from pg_database",
                "select pubname from pg_publication",
                "select slot_name from pg_replication_slots",
                "select subname from pg_subscription",
            ):
                found.append(sorted(map(str, connection.execute(what.encode()))))
    return found


def test_what_stands_in_the_way_is_said_and_nothing_changes(stack: Stack) -> None:
    """Nobody listens, no logical WAL, a database that holds something, another installation's, a wrong URL."""
    with cluster(OLTP) as fit, cluster(OLTP | {"wal_level": "replica"}) as unfit:
        with fit.connect() as server:
            server.execute("create database taken")
        with psycopg.connect(fit.dsn("taken"), autocommit=True) as taken:
            taken.execute("create table something (id int)")
        before = [facts(stack, fit), facts(stack, unfit)]
        for arguments, why in (
            (["--to", f"postgresql://postgres:x@127.0.0.1:{free_port()}/finance"], "cannot be reached"),
            (["--to", url(fit, password="wrong")], "password authentication failed"),
            (["--to", url(unfit)], "has wal_level replica"),
            (["--to", url(fit, "taken")], "is not empty: it holds public.something"),
            (["--to", "mysql://somewhere/finance"], "--to must be postgresql://"),
            ([], "say where it is to go with --to"),
            (["--drop-old"], "nothing of finance was left behind"),
            (["--give-up"], "nothing of finance is under way"),
        ):
            refused = stack.run("split", "finance", *arguments, check=False)
            assert refused.returncode == 1, arguments
            assert why in refused.stderr
            assert "Traceback" not in refused.stderr
        plan = stack.run("split", "finance", "--to", url(fit), "--dry-run").stdout
        assert "1. make roles, schema" in plan
        assert [facts(stack, fit), facts(stack, unfit)] == before
        with fit.connect() as server:
            server.execute("create role hw_replication")
        refused = stack.run("split", "finance", "--to", url(fit), check=False)
        assert "seems to belong to another installation" in refused.stderr


def test_before_the_cut_over_it_can_be_given_up(stack: Stack) -> None:
    with cluster(OLTP) as where:
        before = facts(stack, where)
        armed = Stack(stack.home.root, {"HEADWATER_FAILPOINT": "split.after_slots"})
        killed = armed.run("split", "inventory", "--to", url(where, "stock"), check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        elsewhere = stack.run("split", "inventory", "--to", url(where, "other"), check=False)
        assert "is on its way to 127.0.0.1" in elsewhere.stderr
        assert "inventory stays in headwater" in stack.run("split", "inventory", "--give-up").stdout
        assert facts(stack, where) == before
    body = {"sku": f"STAYS-{uuid.uuid4().hex[:8]}", "name": "Stays", "list_price": "1", "sell_start": "2020-01-01"}
    assert stack.call("POST", "/api/inventory/products", body, token=stack.token())[0] == 201
