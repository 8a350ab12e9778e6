"""Thirty kills under load. Then mirrors equal their source, history has each change and inboxes each event, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headwater.config import Config, Server
from headwater.embedded.postgres import Cluster
from headwater.provision.warehouse import provision
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop
from tests.passwords import PASSWORDS
from tests.pipelines.dispatch.kafka.stage import CONSUMERS, DispatchStage
from tests.pipelines.dispatch.stream_database import create_stream_database
from tests.pipelines.landing.kafka.stage import KafkaStage
from tests.pipelines.landing.stage import copy_warehouse

ROUNDS = (
    ("connect-1", ("landing one", "dispatch one", "finance", "landing two")),
    ("broker", ("dispatch two", "landing one", "dispatch one", "orders")),
    ("connect-2", ("landing two", "dispatch two", "landing one", "finance")),
    ("connect-1", ("dispatch one", "orders", "landing two", "dispatch two")),
    ("broker", ("landing one", "dispatch one", "landing two", "finance")),
    ("connect-2", ("dispatch two", "orders", "dispatch one", "landing one")),
)
"""In each a Java process is killed, then the others while it is away."""

PAUSE = 0.02
"""Seconds between transactions of each writer. The storm takes minutes, and all it writes is compared row by row."""

SECONDS = 240.0
"""For everything to settle, on a machine that does much else."""

pytestmark = pytest.mark.timeout(900)


@dataclass
class Storm:
    plant: Plant
    landing: KafkaStage
    dispatch: DispatchStage
    kills: int = 0

    def begin(self) -> None:
        self.landing.prepare()
        self.dispatch.prepare()
        self.landing.land("one", "two")
        self.dispatch.dispatch("one", "two")
        self.dispatch.subscribe(*CONSUMERS)
        self.landing.caught_up(seconds=SECONDS)

    def kill(self, victim: str) -> None:
        """What is not Java is started again at once."""
        self.kills += 1
        kind, _, worker = victim.partition(" ")
        if kind == "landing":
            self.landing.kill(worker)
            self.landing.land(worker)
        elif kind == "dispatch":
            self.dispatch.kill(worker)
            self.dispatch.dispatch(worker)
        elif kind in CONSUMERS:
            self.dispatch.kill(kind)
            self.dispatch.subscribe(kind)
        else:
            self.plant.kill(victim)

    def await_progress(self) -> None:
        """Until something has landed, and something was applied, that was not before: kills hit what is at work."""
        before = self._done()
        self.landing.wait_for(
            lambda: all(now > then for now, then in zip(self._done(), before, strict=True)), "progress", seconds=SECONDS
        )

    def _done(self) -> tuple[int, ...]:
        ((landed,),) = self.landing.target.run("select coalesce(max(batch_id), 0) from log.batch")
        return (landed, *(len(self.dispatch.applied(consumer)) for consumer in CONSUMERS))

    def close(self) -> None:
        self.landing.close()
        self.dispatch.close()


@pytest.fixture
def storm(oltp: Cluster, warehouse: Cluster, plant: Plant, shop: Shop, tmp_path: Path) -> Iterator[Storm]:
    server = Server("127.0.0.1", warehouse.port, warehouse.password)
    config = Config(str(tmp_path), server, server, 0, "unused", PASSWORDS)
    provision(config)
    target = copy_warehouse(warehouse, config)
    stream = create_stream_database(oltp, f"stream_{shop.database.name}")
    made = Storm(plant, KafkaStage(shop, target, tmp_path), DispatchStage(shop, stream, tmp_path))
    try:
        yield made
    finally:
        made.close()
        target.drop()
        with oltp.connect() as connection:
            connection.execute(f"drop database {stream.name} with (force)".encode())


def test_whatever_is_killed_the_account_is_right(storm: Storm) -> None:
    storm.begin()
    with storm.landing.load(truncating=False, pause=PAUSE), storm.dispatch.load(pause=PAUSE):
        for machine, others in ROUNDS:
            storm.await_progress()
            storm.kill(machine)
            for victim in others:
                storm.kill(victim)
            storm.plant.start(machine)
    assert storm.kills == 30
    storm.landing.caught_up(seconds=SECONDS)
    storm.landing.assert_equal()
    storm.dispatch.caught_up(seconds=SECONDS)
    storm.dispatch.assert_once_in_order()
    # As many rows of the change log as inserts, whatever their numbers: of events and of rows.
    history = "select count(*), count(distinct after ->> 'id') from log.change_log where op = 'c' and table_name = '{}'"
    ((logged, events),) = storm.landing.target.run(history.format("outbox"))
    assert logged == events == len(storm.dispatch.emitted())
    ((logged, rows),) = storm.landing.target.run(history.format("item"))
    ((inserted,),) = storm.landing.database.run("select count(*) from shop.item")
    assert logged == rows == inserted
