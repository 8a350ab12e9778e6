"""A database server is lost and its standby takes over: Debezium and landing over Kafka go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.connect import Connect
from tests.cdc.database import make_database
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop
from tests.pipelines.landing.kafka.stage import KafkaStage
from tests.pipelines.landing.stage import WarehouseDatabase
from tests.stack import eventually
from tests.standby import Pair


@pytest.fixture
def kafka(
    pair: Pair, plant: Plant, connect: Connect, target: WarehouseDatabase, tmp_path: Path
) -> Iterator[KafkaStage]:
    shop = Shop(make_database(pair.primary, tmp_path / "spool"), plant, connect)
    made = KafkaStage(shop, target, tmp_path)
    made.prepare()
    yield made
    made.close()
    shop.close()


@pytest.mark.parametrize("address_kept", [True, False], ids=["the old address", "another address"])
def test_debezium_and_landing_go_on_over_the_promoted_standby(
    kafka: KafkaStage, pair: Pair, address_kept: bool
) -> None:
    kafka.land("one", "two")
    kafka.caught_up()
    shop, name = kafka.shop, kafka.shop.changes().name
    pair.keeps(shop.database.name, shop.source.slot)
    # Nobody reads: this is committed, known to the standby, and in neither Kafka nor the warehouse.
    shop.connect.stop(name)
    with kafka.load() as load:
        eventually(lambda: load.transactions >= 200, 60, "writes")
    pair.follows()
    kafka.database.cluster = pair.fail_over(address_kept=address_kept)
    if not address_kept:
        shop.source = replace(shop.source, port=pair.standby.port)
        shop.apply(shop.changes())
        kafka.stop("one")
        kafka.stop("two")
        kafka.land("one", "two")
    shop.connect.resume(name)
    kafka.commit(
        "update shop.item set price = 1 where id % 3 = 0",
        "delete from shop.visit where id % 2 = 0",
        "insert into shop.item (id, name) select n, 'after' from generate_series(500001, 500500) n",
    )
    kafka.caught_up()
    kafka.assert_equal()
    assert kafka.target.run("select count(*) from log.epoch") == [(1,)]
