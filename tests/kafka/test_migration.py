"""An installation goes from the embedded profile to Kafka and back while people write, whatever is killed meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from cdc.sources.replication import ReplicationConnection
from headwater.embedded.postgres import OLTP
from headwater.migration import back, up
from headwater.migration.state import pending
from headwater.state import PROJECT
from headwater.supervisor.hold import held
from tests.others_cluster import cluster, url
from tests.stack import Stack, eventually

WAIT = 120.0

pytestmark = pytest.mark.timeout(1800)
"""The first test waits for the whole system to be prepared."""

SLOTS = {"hw_landing", "hw_dispatch", "hw_landing_finance", "hw_dispatch_finance"}
TO_KAFKA, TO_EMBEDDED = "migrate-to-kafka", "migrate-to-embedded"


class Writer(threading.Thread):
    """Makes accounts, one command after the other, until it is told to end; none may be refused."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.made: list[str] = []

    def run(self) -> None:
        try:
            token, since = self._stack.token(), time.monotonic()
            while not self._ended.is_set():
                if time.monotonic() > since + 300:  # a token lives ten minutes
                    token, since = self._stack.token(), time.monotonic()
                content = {"name": f"Moved {len(self.made)}", "account_type": "Customer"}
                key = {"Idempotency-Key": str(uuid.uuid4())}
                status, account, _ = self._stack.call(
                    "POST", "/api/contacts/accounts", content, token=token, headers=key
                )
                assert status == 201, account
                self.made.append(account["account_uuid"])
                time.sleep(0.05)
        except BaseException as failure:
            self._failure = failure

    def __enter__(self) -> Writer:
        self.start()
        eventually(lambda: self.made or self._failure, WAIT, "the first account")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(WAIT)
        assert self._failure is None, self._failure


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Embedded at the beginning of the file, of two sources: Finance has a cluster of its own. Tests move it."""
    system = Stack()
    with cluster(OLTP) as ledger:
        try:
            system.up()
            system.run("split", "finance", "--to", url(ledger))
            yield system
        finally:
            system.close()


def warehouse(stack: Stack, query: str, *parameters: object) -> list[tuple[object, ...]]:
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def read_rows(stack: Stack) -> int:
    ((count,),) = warehouse(stack, "select count(*) from log.change_log where op = 'r'")
    return int(str(count))


def assert_all_landed(stack: Stack, made: list[str]) -> None:
    """Each account stands once in the change log, with who made it, as it is in the mirror and at its source; and
    Finance, which hears of it by event, has it once."""
    once = (
        "select c.key ->> 'account_uuid', count(*), min(said.command), min(said.actor_name) from log.change_log c"
        " left join lateral ops.said(c.source, c.epoch, c.xid, c.lsn) said on true"
        " where c.schema_name = 'contacts' and c.table_name = 'account' and c.op = 'c'"
        " and c.key ->> 'account_uuid' = any(%s) group by 1"
    )

    def attributed() -> list[tuple[object, ...]] | None:
        """Over Kafka who made it comes by a topic of its own, so it may come after the account."""
        rows = warehouse(stack, once, made)
        return rows if sum(command is not None for _, _, command, _ in rows) == len(made) else None

    found = eventually(attributed, WAIT, "every account in the change log, with who made it")
    assert sorted(found) == sorted((account, 1, "contacts.create_account", "admin") for account in made)
    columns = "account_uuid::text, account_number, name, status, version, updated_at::text"
    with psycopg.connect(stack.config.service_url("contacts", role="postgres"), autocommit=True) as source:
        source.execute("set timezone = utc")
        wanted = source.execute(f"select {columns} from contacts.account".encode()).fetchall()
    with psycopg.connect(stack.config.warehouse_url(), autocommit=True) as connection:
        connection.execute("set timezone = utc")
        mirrored = connection.execute(f"select {columns} from raw_contacts.account where not _deleted".encode())
        assert sorted(mirrored.fetchall()) == sorted(wanted)
    with psycopg.connect(stack.config.service_url("finance", role="postgres"), autocommit=True) as finance:

        def known() -> bool:
            query = "select count(*) from finance.account_profile where account_uuid = any(%s::uuid[])"
            return finance.execute(query, [made]).fetchone() == (len(made),)

        eventually(known, WAIT, "Finance's copies")
        applied = finance.execute(
            "select count(*) from finance.inbox i where i.consumer like 'finance.%%' group by consumer, event_id"
            " having count(*) > 1"
        ).fetchall()
        assert applied == []


def killed_at(stack: Stack, point: str, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headwater", command],
        cwd=PROJECT,
        env=stack.environment | {"HEADWATER_FAILPOINT": point},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == -signal.SIGKILL, f"{point}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def findings(stack: Stack, check: str) -> list[str]:
    found = json.loads(stack.run("doctor", "--json", check=False).stdout)
    return [finding["command"] for finding in found if finding["check"] == check]


def test_what_cannot_move_is_refused_and_nothing_is_changed(stack: Stack) -> None:
    before = stack.home.config.read_text()

    def refused(command: str, *words: str, environment: dict[str, str] | None = None) -> None:
        changed = Stack(stack.home.root, stack.environment | (environment or {}))
        done = changed.run(command, check=False)
        assert done.returncode == 1
        for word in words:
            assert word in done.stderr
        assert pending(stack.home) is None
        assert stack.home.config.read_text() == before
        assert not (stack.home.root / "kafka").exists()

    refused(TO_EMBEDDED, "is of the embedded profile already")
    refused(TO_KAFKA, "needs Java 17", environment={"JAVA_HOME": "/nowhere"})
    dsn = stack.config.service_url("contacts", role="hw_replication")
    with held(stack.home, "landing"), psycopg.connect(dsn, autocommit=True) as oltp:
        query = "select active_pid from pg_replication_slots where slot_name = 'hw_landing'"
        eventually(lambda: oltp.execute(query).fetchone() == (None,), WAIT, "landing to have left the slot")
        other = ReplicationConnection(f"{dsn}?application_name=somebody")
        other.start("hw_landing", 0, ["hw_landing"])
        refused(TO_KAFKA, "Replication slot hw_landing is in use by server process", "pg_terminate_backend")
        other.close()
    steps = stack.run(TO_KAFKA, "--dry-run").stdout
    assert [line[:2] for line in steps.splitlines()] == [f"{number}." for number in range(1, len(up.STEPS) + 1)]
    assert stack.home.config.read_text() == before


def test_to_kafka_and_back_while_people_write(stack: Stack) -> None:
    read = read_rows(stack)
    with Writer(stack) as writer:
        said = stack.run(TO_KAFKA, timeout=400).stdout
        assert "This installation is of the Kafka profile." in said
        print(said)
        assert stack.config.profile == "kafka"
        assert "is of the kafka profile already" in stack.run(TO_KAFKA, check=False).stderr
        over_kafka = len(writer.made)
        eventually(lambda: len(writer.made) > over_kafka + 20, WAIT, "writes over Kafka")
        assert findings(stack, "migration") == findings(stack, "slots") == findings(stack, "connectors") == []
        said = stack.run(TO_EMBEDDED, timeout=400).stdout
        assert "This installation is of the embedded profile" in said
        print(said)
        back_again = len(writer.made)
        eventually(lambda: len(writer.made) > back_again + 20, WAIT, "writes over the slot")
    assert_all_landed(stack, writer.made)
    assert read_rows(stack) == read
    names = {process["name"] for process in stack.status()["processes"]}
    assert not names & {"broker", "connect-1", "connect-2", "connectors", "landing-2"}
    assert not (stack.home.root / "kafka").exists()
    assert findings(stack, "migration") == findings(stack, "slots") == findings(stack, "gaps") == []
    assert {row["slot"] for row in stack.status()["sources"]} == SLOTS


def test_killed_after_every_step_it_goes_on(stack: Stack) -> None:
    """The command by itself, and at some points with everything else: ``up`` then says how to go on."""
    read = read_rows(stack)
    made: list[str] = []
    for command, points, with_all in (
        (TO_KAFKA, up.FAILPOINTS, {"migrate.kafka_runs", "migrate.after_switch"}),
        (TO_EMBEDDED, back.FAILPOINTS, {"migrate.stopped"}),
    ):
        for point in points:
            with Writer(stack) as writer:
                killed_at(stack, point, command)
            made += writer.made
            assert findings(stack, "migration") == [f"headwater {command}"]
            if point in with_all:
                stack.down()
                assert f"`headwater {command}` goes on with it" in stack.up()
            if point == "migrate.stopped":
                assert "nothing else may touch connectors" in stack.run("connectors", "apply", check=False).stderr
                assert "nothing else may touch connectors" in stack.run("repair", "headwater", check=False).stderr
        other = TO_EMBEDDED if command == TO_KAFKA else TO_KAFKA
        assert f"`headwater {command}` goes on with it" in stack.run(other, check=False).stderr
        with Writer(stack) as writer:
            stack.run(command, timeout=400)
        made += writer.made
        assert findings(stack, "migration") == []
        assert_all_landed(stack, made)
    assert read_rows(stack) == read
