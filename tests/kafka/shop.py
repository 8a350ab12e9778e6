"""A small source database with what a connector needs, and readers of its topics that wait with a deadline."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from cdc import topics
from cdc.connect import Connect, Status
from cdc.connectors import Cluster, Definition, Source, changes, outbox
from cdc.errors import ConnectorMissing
from cdc.slots import create_slot
from tests.cdc.database import Database
from tests.kafka.plant import Plant
from tests.stack import eventually

TABLES = """
create schema shop;
create table shop.item (id int primary key, name text, price numeric(19,4));
alter table shop.item replica identity full;
create table shop.outbox (
    id uuid primary key, aggregate_type text not null, aggregate_id uuid not null, aggregate_version bigint not null,
    type text not null, schema_version int not null, payload jsonb not null, occurred_at timestamptz not null,
    causation_id uuid, correlation_id uuid, actor_id uuid, traceparent text
);
create publication pub_all for table shop.item, shop.outbox;
create publication pub_outbox for table shop.outbox with (publish = 'insert')
"""


class Shop:
    """Service ``shop`` in a database of its own; the source is named like the database."""

    def __init__(self, database: Database, plant: Plant, connect: Connect) -> None:
        self.database, self.plant, self.connect = database, plant, connect
        self.cluster = Cluster(partitions=2)
        database.run(*filter(str.strip, TABLES.split(";")))
        unique = f"{database.name}_{uuid.uuid4().hex[:6]}"
        self.source = Source(
            name=unique,
            host="127.0.0.1",
            port=database.cluster.port,
            database=database.name,
            user="postgres",
            password=plant.secret(unique, database.cluster.password),
            slot=f"{database.name}_all",
            publication="pub_all",
            outbox_slot=f"{database.name}_outbox",
            outbox_publication="pub_outbox",
            services=("shop",),
        )
        create_slot(database.dsn, self.source.slot)
        create_slot(database.dsn, self.source.outbox_slot)
        self._made: set[str] = set()

    def changes(self, **settings: str) -> Definition:
        return self._with(changes(self.source, self.cluster), settings)

    def outbox(self, **settings: str) -> Definition:
        return self._with(outbox(self.source, self.cluster), settings)

    def start(self, definition: Definition, timeout: float = 120.0) -> None:
        """Makes its topics and the connector, and waits until it runs."""
        self.apply(definition)
        eventually(lambda: self.status(definition).running, timeout, f"{definition.name} to run")

    def apply(self, definition: Definition) -> bool:
        self._made.add(definition.name)
        topics.ensure(self.source.name, self.plant.bootstrap, definition.topics)
        return self.connect.put(definition)

    def status(self, definition: Definition) -> Status:
        """The worker that is asked may have yet to read that another has made the connector: nobody runs it then."""
        try:
            return self.connect.status(definition.name)
        except ConnectorMissing:
            return Status(definition.name, "UNASSIGNED", "", "", ())

    def read(self, topic: str, enough: Callable[[list[Message]], bool], timeout: float = 120.0) -> list[Message]:
        """The topic's messages from the beginning, until there are enough."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.plant.bootstrap,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 2,
            }
        )
        got: list[Message] = []
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.plant.topics[topic])])

        def there() -> bool:
            got.extend(message for message in consumer.consume(1000, 0.1) if message.error() is None)
            return enough(got)

        try:
            eventually(there, timeout, f"enough of {topic}")
        finally:
            consumer.close()
        return got

    def close(self) -> None:
        for name in self._made:
            if self.connect.config(name) is not None:
                self.connect.delete(name)

    def _with(self, definition: Definition, settings: dict[str, str]) -> Definition:
        return replace(definition, config=dict(definition.config) | settings)


def payload(message: Message) -> dict[str, Any]:
    """The envelope without its schema."""
    value = message.value()
    assert value is not None
    found: dict[str, Any] = json.loads(value)["payload"]
    return found
