"""Which partitions this process lands, and where each stands: offsets, and the furthest LSN that was landed of it."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.positions import format_lsn, parse_lsn
from cdc.sources.kafka import KafkaBatch
from cdc.sources.kafka_member import KafkaEpoch, Partition, Start
from pipelines.claims import Claims
from pipelines.landing.errors import PartitionLost
from pipelines.landing.mirrors import Connection
from pipelines.landing.text import timestamp_text


class Partitions(Claims):
    """The claims of one process on partitions of ``source``, in the warehouse."""

    def __init__(self, connection: Connection, source: str) -> None:
        super().__init__(connection, "log", source, PartitionLost)

    def claim(self, partitions: Sequence[Partition], epoch: KafkaEpoch) -> dict[Partition, Start]:
        """Takes partitions over and waits for a store of their last owner's that is under way."""
        taken = self.take(partitions, epoch)
        return {partition: start for partition, start in self.stored().items() if partition in taken}

    def stored(self) -> dict[Partition, Start]:
        """Where this process's partitions stand."""
        rows = self._connection.execute(
            "select topic, partition, next_offset, lsn::text from log.kafka_partition where source = %s and owner = %s",
            [self._source, self._owner],
        )
        found = {Partition(topic, number): Start(offset, parse_lsn(lsn)) for topic, number, offset, lsn in rows}
        return {partition: start for partition, start in found.items() if partition in self._claims}

    def advance(self, batch: KafkaBatch) -> None:
        """Moves on, in the present transaction, to where the batch ends."""
        offsets, lsns = batch.offsets, batch.lsns
        last = max((t.committed_at for t in batch.transactions), default=None)
        partitions = sorted(offsets)
        self._connection.execute(
            """
            update log.kafka_partition p
            set next_offset = moved.next_offset, lsn = greatest(p.lsn, moved.lsn),
              committed_at = coalesce(%s::timestamptz, p.committed_at), updated_at = now()
            from unnest(%s::text[], %s::int[], %s::bigint[], %s::pg_lsn[]) moved (topic, partition, next_offset, lsn)
            where p.source = %s and p.topic = moved.topic and p.partition = moved.partition
            """,
            [
                None if last is None else timestamp_text(last),
                [p.topic for p in partitions],
                [p.number for p in partitions],
                [offsets[p] for p in partitions],
                [format_lsn(lsns.get(p, 0)) for p in partitions],
                self._source,
            ],
        )
