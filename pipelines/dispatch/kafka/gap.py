"""Whether Kafka still has everything that dispatch of a source has yet to read."""

from __future__ import annotations

from cdc.connectors import outbox_topic
from cdc.kafka_errors import KafkaEpochMismatch, OffsetGap, TopicMissing
from cdc.sources.kafka_member import KafkaStream, epoch, require_available
from pipelines.dispatch.errors import RepairUnfinished
from pipelines.dispatch.kafka.store import Partitions, stored_offsets
from pipelines.dispatch.store import connect


def gap(source: str, stream: KafkaStream, stream_dsn: str) -> str | None:
    """What is missing, in words; None if nothing is. Raises KafkaUnavailable or KafkaRefused."""
    with connect(stream_dsn) as connection:
        offsets = stored_offsets(connection, source)
        try:
            found = epoch(source, stream.bootstrap, [outbox_topic(source)], stream.settings)
            Partitions(connection, source).enter(found)
            require_available(source, stream.bootstrap, offsets, stream.settings)
        except (KafkaEpochMismatch, OffsetGap, RepairUnfinished) as error:
            return str(error)
        except TopicMissing as error:
            return str(error) if offsets else None
    return None
