"""Moves the source's position on: the LSN up to which everything has landed, whoever landed it.

Partitions run ahead of each other, so none of them knows. A mark that is written to the source and has come with the
messages stands for all that was committed before it: once every partition is past where it ended at that moment, all of
that is landed.
"""

from __future__ import annotations

import time
from typing import Final

from cdc.sources.kafka import KafkaSource
from cdc.sources.kafka_member import Partition
from pipelines.landing.kafka.sink import KafkaSink, Mark
from pipelines.landing.worker import SourceDatabase

EVERY: Final = 0.25
"""Seconds between marks while changes land: so much later than the rows may readers learn that they are there."""

IDLE: Final = 10.0
"""Seconds between marks while nothing lands, so that readers can tell a quiet source from landing that stands still."""


class Watermark:
    """Kept by the worker that lands the messages."""

    def __init__(self, database: SourceDatabase, source: KafkaSource, sink: KafkaSink) -> None:
        self._database = database
        self._source = source
        self._sink = sink
        self._written: int | None = None
        self._come: Mark | None = None
        self._ends: dict[Partition, int] = {}
        self._shown = -1
        self._landed = -1
        self._landed_before = -1
        self._next = self._overdue = 0.0

    @property
    def due(self) -> bool:
        """Whether a mark is on its way."""
        return self._written is not None

    def look(self) -> None:
        if self._written is None:
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + EVERY
            self._landed_before, self._landed = self._landed, self._sink.changes_landed()
            if self._landed != self._shown or now >= self._overdue:
                self._overdue = now + IDLE
                self._written = self._database.mark()
        elif self._come is None:
            come = self._sink.mark()
            if come.lsn >= self._written:
                self._come, self._ends = come, self._source.ends()
        elif self._sink.has_reached(self._ends):
            self._sink.show(self._come)
            # A second mark stands for the same changes: a command reads its position just after its commit, and the
            # first may have come between.
            self._shown = self._landed if self._landed == self._landed_before else -1
            self._written, self._come = None, None
