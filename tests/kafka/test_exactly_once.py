"""Workers with exactly-once support: a death leaves neither a gap nor a duplicate for readers of what is committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from cdc.connect import Connect
from cdc.connectors import changes_topic
from tests.cdc.database import Database
from tests.kafka.plant import Plant, planted
from tests.kafka.shop import Shop, payload

ROWS = 3000


@pytest.fixture
def exact() -> Iterator[Plant]:
    with planted(exactly_once=True) as plant:
        yield plant


def test_a_killed_worker_leaves_no_gap_and_no_duplicate(exact: Plant, database: Database) -> None:
    with Connect([worker.url for worker in exact.workers.values()]) as connect:
        shop = Shop(database, exact, connect)
        definition = shop.changes()
        shop.start(definition)
        writing, half = threading.Event(), threading.Event()

        def write() -> None:
            with psycopg.connect(database.dsn, autocommit=True) as connection:
                for number in range(1, ROWS + 1):
                    connection.execute("insert into shop.item values (%s, 'item', 1)", [number])
                    if number == ROWS // 3:
                        half.set()
            writing.set()

        writer = threading.Thread(target=write)
        writer.start()
        assert half.wait(120)
        worker = connect.status(definition.name).tasks[0].worker
        exact.kill(next(name for name, candidate in exact.workers.items() if candidate.url.endswith(worker)))
        writer.join(240)
        assert writing.is_set()
        got = shop.read(changes_topic(shop.source.name), lambda found: len(found) >= ROWS)
        assert sorted(payload(message)["after"]["id"] for message in got) == list(range(1, ROWS + 1))
        shop.close()
