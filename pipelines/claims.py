"""Which partitions of a source this process reads, and from where: rows that every store checks and moves on.

A claim raises the partition's generation. Whoever had it before may still believe that it is theirs, but a store of
theirs finds another generation and ends without effect: no clock and no group has to be right for that.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg

from cdc.kafka_errors import KafkaEpochMismatch
from cdc.sources.kafka_member import KafkaEpoch, Partition

Connection = psycopg.Connection[tuple[Any, ...]]


class Claims:
    """The claims of one process on partitions of ``source``, in tables ``kafka_source`` and ``kafka_partition`` of
    ``schema``. The connection is in autocommit outside transactions.

    ``lost`` makes the error of a partition that another process has by now, of source, topic and partition.
    """

    def __init__(
        self, connection: Connection, schema: str, source: str, lost: Callable[[str, str, int], Exception]
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._source = source
        self._lost = lost
        self._owner = f"{uuid.uuid4()}"
        self._claims: dict[Partition, int] = {}

    def enter(self, epoch: KafkaEpoch) -> None:
        """Raises KafkaEpochMismatch if the source was read from another cluster, or a topic was made anew since."""
        with self._connection.transaction():
            self._run(
                "insert into {}.kafka_source (source, cluster_id) values (%s, %s) on conflict do nothing",
                self._source,
                epoch.cluster_id,
            )
            ((cluster_id,),) = self._run("select cluster_id from {}.kafka_source where source = %s", self._source)
            if cluster_id != epoch.cluster_id:
                raise KafkaEpochMismatch(self._source, "cluster", stored=cluster_id, found=epoch.cluster_id)
            for topic, topic_id in self._run(
                "select distinct topic, topic_id from {}.kafka_partition where source = %s", self._source
            ):
                found = epoch.topics.get(topic, topic_id)
                if found != topic_id:
                    raise KafkaEpochMismatch(self._source, f"topic {topic}", stored=topic_id, found=found)

    def take(self, partitions: Sequence[Partition], epoch: KafkaEpoch) -> dict[Partition, int | None]:
        """Takes partitions over and waits for a store of their last owner's that is under way.

        Returns where each is to be read from; None: its beginning.
        """
        offsets: dict[Partition, int | None] = {}
        with self._connection.transaction():
            for partition in sorted(partitions):
                ((offset, generation),) = self._run(
                    """
                    insert into {}.kafka_partition as p (source, topic, partition, topic_id, owner, generation)
                    values (%s, %s, %s, %s, %s, 1)
                    on conflict (source, topic, partition) do update
                    set owner = excluded.owner, generation = p.generation + 1, updated_at = now()
                    returning next_offset, generation
                    """,
                    self._source,
                    *partition,
                    epoch.topics[partition.topic],
                    self._owner,
                )
                offsets[partition] = offset
                self._claims[partition] = generation
        return offsets

    def release(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._claims.pop(partition, None)

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Locks them for the present transaction. Raises ``lost`` if one is another's by now, or nobody's."""
        wanted = sorted(partitions)
        held = self._run(
            """
            select topic, partition, owner, generation
            from {}.kafka_partition
            where source = %s and (topic, partition) in (select * from unnest(%s::text[], %s::int[]))
            order by topic, partition
            for update
            """,
            self._source,
            [p.topic for p in wanted],
            [p.number for p in wanted],
        )
        own = {Partition(topic, number): (owner, generation) for topic, number, owner, generation in held}
        for partition in wanted:
            if own.get(partition) != (self._owner, self._claims.get(partition)):
                raise self._lost(self._source, *partition)

    def _run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement.format(self._schema).encode(), parameters)
        return cursor.fetchall() if cursor.description else []
