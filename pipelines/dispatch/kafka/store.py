"""What dispatch over Kafka keeps beside deliveries: offsets, claims, and records that are no events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cdc.sources.kafka_member import KafkaEpoch, Partition, Start
from pipelines.claims import Claims, Connection
from pipelines.dispatch.errors import PartitionLost, RepairUnfinished
from pipelines.dispatch.kafka.records import Unreadable
from pipelines.dispatch.store import stored_position


class Partitions(Claims):
    """The claims of one dispatch process on partitions of ``source``, in the stream database."""

    def __init__(self, connection: Connection, source: str) -> None:
        super().__init__(connection, "stream", source, PartitionLost)

    def enter(self, epoch: KafkaEpoch) -> None:
        """Raises KafkaEpochMismatch, or RepairUnfinished if the outboxes have yet to be read."""
        if is_forgotten(self._connection, self._source):
            raise RepairUnfinished(self._source)
        super().enter(epoch)

    def claim(self, partitions: Sequence[Partition], epoch: KafkaEpoch) -> dict[Partition, Start]:
        """Takes partitions over and waits for a store of their last owner's that is under way."""
        return {partition: Start(offset) for partition, offset in self.take(partitions, epoch).items()}

    def move(self, offsets: Mapping[Partition, int]) -> None:
        """Reads on at these offsets, once the present transaction is committed."""
        partitions = sorted(offsets)
        self._connection.execute(
            """
            update stream.kafka_partition p
            set next_offset = moved.next_offset, updated_at = now()
            from unnest(%s::text[], %s::int[], %s::bigint[]) moved (topic, partition, next_offset)
            where p.source = %s and p.topic = moved.topic and p.partition = moved.partition
            """,
            [
                [p.topic for p in partitions],
                [p.number for p in partitions],
                [offsets[p] for p in partitions],
                self._source,
            ],
        )

    def park(self, records: Iterable[Unreadable]) -> None:
        """Keeps the records whole."""
        for record in records:
            self._connection.execute(
                """
                insert into stream.kafka_parked
                  (source, topic, partition, topic_id, record_offset, key, header_names, header_values, value, error)
                select source, topic, partition, topic_id, %s, %s, %s, %s, %s, %s
                from stream.kafka_partition
                where source = %s and topic = %s and partition = %s
                on conflict do nothing
                """,
                [
                    record.offset,
                    record.key,
                    [name for name, _ in record.headers],
                    [value for _, value in record.headers],
                    record.value,
                    record.error,
                    self._source,
                    *record.partition,
                ],
            )


def is_over_kafka(connection: Connection, source: str) -> bool:
    """Whether the source's events come over Kafka, as far as the stream database knows."""
    found = connection.execute("select from stream.kafka_source where source = %s", [source])
    return found.fetchone() is not None


def stored_offsets(connection: Connection, source: str) -> dict[Partition, int]:
    """Where each partition is to be read from next."""
    rows = connection.execute(
        "select topic, partition, coalesce(next_offset, 0) from stream.kafka_partition where source = %s", [source]
    )
    return {Partition(topic, number): offset for topic, number, offset in rows}


def forget(connection: Connection, source: str) -> None:
    """Gives offsets up, and records that are no events, which the outboxes have as they were meant.

    Dispatch of the source does not start until ``pipelines.dispatch.repair`` has ended.
    """
    with connection.transaction():
        connection.execute("delete from stream.kafka_parked where source = %s", [source])
        connection.execute("delete from stream.kafka_source where source = %s", [source])
        connection.execute("update stream.position set lsn = '0/0' where source = %s", [source])


def is_forgotten(connection: Connection, source: str) -> bool:
    """Whether a repair has begun and not ended."""
    position = stored_position(connection, source)
    return position is not None and position.lsn == 0
