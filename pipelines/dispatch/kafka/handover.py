"""A source's events come by its slot again: what Kafka holds is dispatched, then the slot is read on from where it is.

Upwards nothing is needed: Debezium begins where the slot stands, and an event that was dispatched before is known by
its id. So it is downwards, where the slot is behind what Kafka has.
"""

from __future__ import annotations

from cdc.connectors import outbox_topic
from cdc.errors import SlotMissing
from cdc.positions import Position
from cdc.slots import read_epoch, slot_state
from cdc.topics import ends
from pipelines.dispatch.kafka.store import stored_offsets
from pipelines.dispatch.store import connect, store_position


def undispatched(source: str, bootstrap: str, partitions: int, stream_dsn: str) -> int:
    """Records of the source's topic that are yet to become deliveries. Raises KafkaUnavailable."""
    found = ends(source, bootstrap, [(outbox_topic(source), number) for number in range(partitions)])
    with connect(stream_dsn) as connection:
        stored = stored_offsets(connection, source)
    by_place = {tuple(partition): offset for partition, offset in stored.items()}
    return sum(max(0, end - by_place.get(place, 0)) for place, end in found.items())


def take_back(source: str, dsn: str, slot: str, stream_dsn: str) -> None:
    """Dispatch goes on where the slot stands: no connector reads it any more, and all that Kafka has is dispatched."""
    state = slot_state(dsn, slot)
    if state is None:
        raise SlotMissing(source, slot, stored=None)
    with connect(stream_dsn) as connection:
        store_position(connection, Position(source, read_epoch(dsn, slot), state.confirmed_lsn))


def finish_return(source: str, stream_dsn: str) -> None:
    """Nothing is kept any more of where the topic stood. Records that are no events stay."""
    with connect(stream_dsn) as connection:
        connection.execute("delete from stream.kafka_source where source = %s", [source])
