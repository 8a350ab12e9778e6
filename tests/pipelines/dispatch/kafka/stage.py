"""Outboxes, Kafka between, dispatch and subscribers that may be killed, and the account that every test ends with."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from cdc.positions import Position
from cdc.slots import read_epoch, slot_state
from cdc.sources.kafka_member import KafkaStream
from pipelines.dispatch.store import connect, store_position
from tests.kafka.shop import Shop
from tests.pipelines.dispatch.kafka import process, subscriber
from tests.pipelines.dispatch.stream_database import StreamDatabase

DEADLINE = 90.0
SESSION_TIMEOUT = 6.0
CONSUMERS = ("finance", "orders")
EVENT = "ACCOUNT_UPDATED"


class DispatchStage:
    """Workers are named ``one``, ``two`` …; subscribers are ``CONSUMERS``, and keep their inboxes in the shop's
    database unless they are given another."""

    def __init__(self, shop: Shop, stream: StreamDatabase, root: Path) -> None:
        self.shop = shop
        self.stream = stream
        self._root = root
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._inboxes: dict[str, str] = {}

    @property
    def name(self) -> str:
        return self.shop.source.name

    @property
    def kafka(self) -> KafkaStream:
        return KafkaStream(self.shop.plant.bootstrap, "", session_timeout=SESSION_TIMEOUT)

    def prepare(self) -> None:
        """Topic, connector, subscriptions, and the position that provisioning stores; nothing is dispatched yet."""
        for consumer in CONSUMERS:
            self.stream.subscribe(consumer, EVENT)
        self.shop.database.run(*subscriber.TABLES)
        self._inboxes = dict.fromkeys(CONSUMERS, self.shop.database.dsn)
        source = self.shop.source
        state = slot_state(self.shop.database.dsn, source.outbox_slot)
        assert state is not None
        epoch = read_epoch(self.shop.database.dsn, source.outbox_slot)
        with connect(self.stream.dsn("hw_dispatch")) as connection:
            store_position(connection, Position(self.name, epoch, state.confirmed_lsn))
        self.connect()

    def connect(self) -> None:
        """Makes topic and connector, and waits until it runs."""
        definition = self.shop.outbox()
        self.shop.apply(definition)
        self.wait_for(lambda: self.shop.status(definition).running, f"{definition.name} to run")

    def keep_inbox_in(self, consumer: str, dsn: str) -> None:
        """The subscriber's own database, made ready here."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in subscriber.TABLES:
                connection.execute(statement.encode())
        self._inboxes[consumer] = dsn

    def dispatch(self, *workers: str, failpoint: str = "") -> None:
        for worker in workers:
            at = KafkaStream(self.shop.plant.bootstrap, worker, session_timeout=SESSION_TIMEOUT)
            given = process.arguments(self.name, at, self.stream.dsn("hw_dispatch"), self._heartbeat(worker))
            module = "tests.pipelines.dispatch.kafka.process"
            self._processes[worker] = process.spawn(module, given, self._log(worker), failpoint=failpoint)

    def subscribe(self, *consumers: str) -> None:
        """Starts subscribers."""
        for consumer in consumers:
            given = {
                "consumer": consumer,
                "stream": self.stream.dsn(f"hw_{consumer}"),
                "database": self._inboxes[consumer],
            }
            module = "tests.pipelines.dispatch.kafka.subscriber"
            self._processes[consumer] = process.spawn(module, json.dumps(given), self._log(consumer))

    def kill(self, name: str) -> None:
        """A worker or a subscriber."""
        child = self._processes.pop(name)
        child.kill()
        child.wait()

    def died(self, worker: str) -> None:
        """Waits until a worker with a fail-point has killed itself."""
        assert self._processes.pop(worker).wait(DEADLINE) == -signal.SIGKILL

    def stop(self, name: str) -> None:
        child = self._processes.pop(name)
        child.terminate()
        child.wait(DEADLINE)

    def close(self) -> None:
        for name in list(self._processes):
            self.kill(name)

    def problem(self, worker: str) -> str | None:
        """What the worker's heartbeat says is wrong."""
        found: str | None = json.loads(self._heartbeat(worker).read_text())["error"]
        return found

    def emit(self, aggregate: uuid.UUID, version: int) -> uuid.UUID:
        """One event, committed; returns its id."""
        with psycopg.connect(self.shop.database.dsn, autocommit=True) as connection:
            return insert(connection, aggregate, version)

    def emitted(self) -> set[uuid.UUID]:
        return {row[0] for row in self.shop.database.run("select id from shop.outbox")}

    def applied(self, consumer: str) -> list[tuple[uuid.UUID, uuid.UUID, int, str]]:
        """(event, aggregate, version, payload) in the order of application."""
        with psycopg.connect(self._inboxes[consumer], autocommit=True) as connection:
            return connection.execute(
                "select event_id, aggregate_id, version, payload from inbox.applied where consumer = %s order by n",
                [consumer],
            ).fetchall()

    def owners(self) -> dict[int, str]:
        """Partition → whoever claimed it last."""
        rows = self.stream.rows("select partition, owner from stream.kafka_partition where source = %s", self.name)
        return {row["partition"]: row["owner"] for row in rows}

    def read_to(self, topic: str) -> dict[tuple[str, int], int]:
        """(topic, partition) → offset that dispatch reads on from."""
        rows = self.stream.rows(
            "select partition, next_offset from stream.kafka_partition where source = %s and topic = %s",
            self.name,
            topic,
        )
        return {(topic, row["partition"]): row["next_offset"] for row in rows}

    def pending(self) -> dict[str, int]:
        """Consumer → deliveries that wait, as ``headwater status`` counts them."""
        return {row["consumer"]: row["pending"] for row in self.stream.rows("select * from stream.status")}

    def caught_up(self, *consumers: str, seconds: float = DEADLINE) -> None:
        """Waits until every event that stands in the outbox by now was applied."""
        emitted = self.emitted()
        for consumer in consumers or CONSUMERS:
            self.wait_for(
                lambda consumer=consumer: emitted <= {event for event, *_ in self.applied(consumer)},
                f"{len(emitted)} events at {consumer}",
                seconds=seconds,
            )

    def assert_once_in_order(self) -> None:
        """Every event was applied by every subscriber, once, whole, and after those of its aggregate before it."""
        wanted = dict(self.shop.database.run("select id, payload::text from shop.outbox"))
        for consumer in CONSUMERS:
            applied = self.applied(consumer)
            assert len(applied) == len(wanted), consumer
            assert {event: payload for event, _, _, payload in applied} == wanted, consumer
            reached: dict[uuid.UUID, int] = {}
            for _, aggregate, version, _ in applied:
                assert version == reached.get(aggregate, 0) + 1, (consumer, aggregate, version)
                reached[aggregate] = version

    def wait_for(self, condition: Callable[[], Any], what: str, *, seconds: float = DEADLINE) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                told = "\n".join(path.read_text()[-3000:] for path in self._root.glob("*.log"))
                beats = "\n".join(path.read_text() for path in self._root.glob("*.json"))
                raise AssertionError(f"waited {seconds:.0f} s for {what}\n{beats}\n{told}")
            time.sleep(0.05)
        return value

    @contextmanager
    def load(self, *, pause: float = 0.01) -> Iterator[Events]:
        """Emits events in the background until the block ends; ``pause``: seconds between transactions."""
        events = Events(self.shop.database.dsn, pause)
        events.start()
        try:
            yield events
        finally:
            events.finish()

    def _heartbeat(self, worker: str) -> Path:
        return self._root / f"dispatch-{worker}.json"

    def _log(self, name: str) -> Path:
        return self._root / f"dispatch-{name}.log"


def insert(connection: psycopg.Connection[Any], aggregate: uuid.UUID, version: int) -> uuid.UUID:
    event = uuid.uuid4()
    payload = json.dumps({"version": version, "amount": 12.50, "text": 'é "quoted" \n'})
    connection.execute(
        "insert into shop.outbox values (%s, 'account', %s, %s, %s, 1, %s, clock_timestamp(), null, null, null)",
        [event, aggregate, version, EVENT, payload],
    )
    return event


class Events(threading.Thread):
    """Some hundred events a second of thirty aggregates, several in a transaction; every seventh is rolled back."""

    def __init__(self, dsn: str, pause: float) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._pause = pause
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.count = 0

    def run(self) -> None:
        try:
            self._emit()
        except BaseException as failure:
            self._failure = failure

    def _emit(self) -> None:
        pick = random.Random(7)
        versions = {uuid.UUID(int=pick.getrandbits(128)): 0 for _ in range(30)}
        accounts = list(versions)
        with psycopg.connect(self._dsn) as connection:
            number = 0
            while not self._ended.is_set():
                number += 1
                chosen = pick.sample(accounts, pick.randrange(1, 6))
                for account in chosen:
                    insert(connection, account, versions[account] + 1)
                if number % 7 == 0:
                    connection.rollback()
                else:
                    connection.commit()
                    versions |= {account: versions[account] + 1 for account in chosen}
                    self.count += len(chosen)
                time.sleep(self._pause)

    def finish(self) -> None:
        self._ended.set()
        self.join()
        if self._failure is not None:
            raise self._failure
