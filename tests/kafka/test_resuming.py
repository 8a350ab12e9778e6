"""Where a connector goes on whose worker died when all it had delivered of a transaction was that it began."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from confluent_kafka import Message

from cdc import topics
from cdc.connect import Connect
from cdc.connectors import AUDIT, Cluster, Definition, Topic, changes_topic, messages_topic
from tests.cdc.database import Database
from tests.kafka.shop import Shop, payload
from tests.kafka.trio import Trio, trio
from tests.stack import eventually

SETTLED = 2.5
"""Seconds in which a worker notes twice what was delivered."""

MARKS = 16
ATTEMPTS = 5
"""Something else may write between the commit and the row that is to follow it at once, such as a checkpoint."""


@pytest.fixture
def brokers() -> Iterator[Trio]:
    with trio() as started:
        yield started


@pytest.fixture
def shop(database: Database, brokers: Trio) -> Iterator[Shop]:
    with Connect([worker.url for worker in brokers.workers.values()]) as connect:
        made = Shop(database, brokers, connect)
        made.cluster = Cluster(partitions=2, replication=3)
        yield made


@contextmanager
def refused(shop: Shop, topic: Topic) -> Iterator[None]:
    """With one of three copies away, what is written to the topic alone is refused until the block ends: it asks for
    the three that a topic of four copies would."""
    topics.ensure(shop.source.name, shop.plant.bootstrap, [replace(topic, replication=4)])
    try:
        yield
    finally:
        topics.ensure(shop.source.name, shop.plant.bootstrap, [topic])


def copies_are_away(shop: Shop, definition: Definition) -> bool:
    thin = topics.thin(shop.source.name, shop.plant.bootstrap, definition.topics)
    return len(thin) == sum(topic.partitions for topic in definition.topics)


def commit_between(shop: Shop, first: int) -> None:
    """A transaction of two rows; another one, of a message alone, commits just before the second is written."""
    with psycopg.connect(shop.database.dsn) as slow, psycopg.connect(shop.database.dsn, autocommit=True) as quick:
        slow.execute("insert into shop.item values (%s, 'before', 1)", [first])
        quick.execute("select pg_logical_emit_message(true, %s, %s)", [AUDIT, "{}"])
        slow.execute("insert into shop.item values (%s, 'after', 1)", [first + 1])


def stored(connect: Connect, definition: Definition) -> dict[str, Any]:
    found = connect.offsets(definition.name)
    return found[0][1] if found else {}


def rows(shop: Shop, first: int) -> dict[int, dict[str, Any]]:
    """Id → what the topic says of the row, once it has what follows now: rows in every partition, from ``first`` on."""
    last = first + MARKS - 1
    shop.database.run(f"insert into shop.item select n, 'mark', 1 from generate_series({first}, {last}) n")

    def found(got: list[Message]) -> dict[int, dict[str, Any]]:
        return {payload(message)["after"]["id"]: payload(message)["source"] for message in got}

    marks = set(range(first, last + 1))
    return found(shop.read(changes_topic(shop.source.name), lambda got: marks <= found(got).keys()))


def test_a_transaction_that_had_only_begun_is_delivered_whole(shop: Shop, brokers: Trio) -> None:
    """Its second row begins in the log at the byte at which the commit before it ends. Debezium looks for the place to
    go on at by that number, and with "begun" stored as the last thing delivered it took the row for the commit."""
    definition = shop.changes()
    (topic,) = [topic for topic in definition.topics if topic.name == changes_topic(shop.source.name)]
    shop.start(definition)
    brokers.kill("broker-3")
    eventually(lambda: copies_are_away(shop, definition), 60, "one copy of everything to be away")
    rows(shop, 1)
    for attempt in range(ATTEMPTS):
        first = 100 * (attempt + 1)
        with refused(shop, topic):
            before = stored(shop.connect, definition)
            commit_between(shop, first)
            shop.read(messages_topic(shop.source.name), lambda got, n=attempt: len({m.offset() for m in got}) > n)
            eventually(lambda b=before: stored(shop.connect, definition) != b, 30, "the message to be noted")
            time.sleep(SETTLED)
            brokers.kill("connect-1")
        brokers.start("connect-1")
        got = rows(shop, first + 2)
        assert {first, first + 1} <= got.keys()
        follows = json.loads(got[first + 1]["sequence"])[0]
        if str(got[first + 1]["lsn"]) == follows:
            return
    raise AssertionError("in no attempt the row followed the commit at once")
