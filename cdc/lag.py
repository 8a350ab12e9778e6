"""How far a consumer is behind on Kafka's topics: records it has yet to store, and how old the oldest of them is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, TopicPartition

from cdc.topics import OPEN, Asker

LOOK: Final = 3.0
"""Seconds to ask for ends and for the oldest records; what has not come by then is not told."""


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition. ``stored``: where its consumer reads on; ``end``: the offset of the record that comes next.
    ``seconds``: age of the oldest record in between, 0 where there is none, None where it did not come in time."""

    topic: str
    partition: int
    stored: int
    end: int
    seconds: float | None

    @property
    def unread(self) -> int:
        return max(0, self.end - self.stored)


def lags(
    source: str, bootstrap: str, stored: Mapping[tuple[str, int], int | None], settings: Mapping[str, Any] = OPEN
) -> list[Lag]:
    """Of each (topic, partition) with where it is read on (None: its beginning). A partition that the cluster does not
    tell of is left out. Raises KafkaUnavailable or KafkaRefused."""
    asker = Asker(source, bootstrap, settings)
    asker.cluster()
    consumer = Consumer(
        {
            **asker.settings,
            "group.id": "headwater-lag",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            # One record of each partition is wanted, whatever its size.
            "queued.min.messages": 1,
            "fetch.message.max.bytes": 1,
        }
    )
    try:
        found: dict[tuple[str, int], tuple[int, int]] = {}
        for place, offset in stored.items():
            try:
                low, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=LOOK)
            except KafkaException:
                continue
            found[place] = (low if offset is None else offset, end)
        ages = _ages(consumer, {place: offset for place, (offset, end) in found.items() if offset < end})
    finally:
        consumer.close()
    return [
        Lag(*place, offset, end, ages.get(place) if offset < end else 0.0) for place, (offset, end) in found.items()
    ]


def _ages(consumer: Consumer, places: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], float]:
    """Seconds since the record at each place, or the next one after it, was written."""
    if not places:
        return {}
    consumer.assign([TopicPartition(*place, offset or OFFSET_BEGINNING) for place, offset in places.items()])
    ages: dict[tuple[str, int], float] = {}
    deadline = time.monotonic() + LOOK
    while len(ages) < len(places) and (left := deadline - time.monotonic()) > 0:
        message = consumer.poll(left)
        if message is None or message.error() is not None:
            continue
        kind, milliseconds = message.timestamp()
        place = (message.topic() or "", message.partition() or 0)
        if kind != TIMESTAMP_NOT_AVAILABLE and place not in ages:
            ages[place] = max(0.0, time.time() - milliseconds / 1000)
            consumer.pause([TopicPartition(*place)])
    return ages
