"""Topics in Avro: Debezium writes through the registry, Confluent's own reader reads; and what is lost on the way."""

from __future__ import annotations

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

from cdc.connectors import Cluster, changes, changes_topic
from tests.kafka.plant import Plant
from tests.kafka.shop import Shop


def test_rows_in_avro_are_read_by_the_registrys_schema(shop: Shop, plant: Plant) -> None:
    """All but one thing: a NULL in a column that has a default arrives as the default. So landing reads JSON."""
    if not plant.alive("registry"):
        plant.start("registry")
    cluster = Cluster(partitions=2, format="avro", registry=plant.registry.url)
    shop.database.run(
        "insert into shop.item values (1, null, 12.5000), (2, 'é', 'NaN')",
        "update shop.item set price = 13 where id = 2",
    )
    shop.start(changes(shop.source, cluster))
    got = shop.read(changes_topic(shop.source.name), lambda found: len(found) == 3)
    read = AvroDeserializer(SchemaRegistryClient({"url": plant.registry.compatible_url}))
    envelopes = [read(message.value(), None) for message in got]
    rows = sorted((e["op"], e["after"]["id"], e["after"]["name"], e["after"]["price"]) for e in envelopes)
    assert rows == [("c", 1, None, "12.5000"), ("c", 2, "é", "NAN"), ("u", 2, "é", "13.0000")]
    assert sorted(read(message.key(), None)["id"] for message in got) == [1, 2, 2]
    assert all((message.value() or b"")[:1] == b"\0" for message in got)
    shop.database.run(
        "alter table shop.item alter column name set default 'unnamed'", "insert into shop.item values (3, null, 1)"
    )
    got = shop.read(changes_topic(shop.source.name), lambda found: len(found) == 4)
    after = [read(message.value(), None)["after"] for message in got]
    assert [row["name"] for row in after if row["id"] == 3] == ["unnamed"]
