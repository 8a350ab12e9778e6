"""Repair of a source that comes over Kafka: connector, topics, slot and offsets begin anew.

Landing then reads every table, dispatch every outbox. Each has a connector and a slot of its own, and is repaired
alone.
"""

from __future__ import annotations

import time

import psycopg

from cdc import topics
from cdc.errors import ConnectorMissing, SlotMissing
from cdc.positions import Position
from cdc.slots import slot_state
from cdc.sources.kafka_member import KafkaStream
from headwater import streaming
from headwater.cli.errors import Refused
from headwater.config import Config
from headwater.connectors import Connectors, Wanted
from headwater.state import Home
from pipelines.dispatch.kafka.gap import gap as gap_of_dispatch
from pipelines.dispatch.kafka.store import forget
from pipelines.dispatch.repair import Repaired
from pipelines.dispatch.store import connect as connect_stream
from pipelines.landing.repair import repair as repair_landing
from pipelines.landing.worker import SourceDatabase

STOPPED = 60.0
"""Seconds for a connector to stop and let go of its slot."""

UNAVAILABLE = "no longer available on the server"
"""What Debezium says of a position that its slot does not have."""


def forget_landed(config: Config, source: str) -> None:
    """Offsets of the source's topics, and what they were for."""
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        warehouse.execute("delete from log.kafka_source where source = %s", [source])
        warehouse.execute("delete from log.kafka_guard where source = %s", [source])


def forget_dispatched(config: Config, source: str) -> None:
    """Offsets of the source's outbox topic."""
    with connect_stream(config.stream_url("hw_dispatch")) as stream:
        forget(stream, source)


class KafkaRepair:
    """Landing, dispatch and the worker ``connectors`` stand still meanwhile."""

    def __init__(self, home: Home, config: Config, database: SourceDatabase) -> None:
        self._config = config
        self._database = database
        self._connectors = Connectors(home, config)
        self._changes = self._connectors.changes[database.name]
        self._outbox = self._connectors.outboxes[database.name]

    def gap_of_landing(self) -> str | None:
        """What is missing between the source and what was landed, as slot, Connect and landing tell it."""
        if lost := self._lost(self._changes):
            return lost
        with psycopg.connect(self._config.warehouse_url(), autocommit=True) as warehouse:
            row = warehouse.execute(
                "select error from log.source_state where source = %s and state = 'stopped'", [self._database.name]
            ).fetchone()
        return None if row is None else str(row[0])

    def gap_of_dispatch(self) -> str | None:
        """What is missing between the outboxes and the deliveries, as slot, Connect and Kafka tell it."""
        stream = KafkaStream(self._connectors.bootstrap, "repair", self._connectors.security)
        return self._lost(self._outbox) or gap_of_dispatch(
            self._database.name, stream, self._config.stream_url("hw_dispatch")
        )

    def repair_landing(self) -> Position:
        """Killed on the way, it leaves a gap as before: repair again. Other readers of the topics must begin anew."""
        # What the topics hold lies before the new slot, and the tables are read after it.
        self._remove(self._changes)
        forget_landed(self._config, self._database.name)
        position = repair_landing(self._database, self._config.warehouse_url())
        self._connectors.apply([self._changes.definition.name])
        return position

    def repair_dispatch(self) -> Repaired:
        """Killed on the way, it leaves a gap that dispatch names: repair again."""
        forget_dispatched(self._config, self._database.name)
        self._remove(self._outbox)
        repaired = streaming.repair_dispatch(self._config, self._database.name)
        self._connectors.apply([self._outbox.definition.name])
        return repaired

    def _lost(self, wanted: Wanted) -> str | None:
        if slot_state(self._database.dsn, wanted.slot) is None:
            return str(SlotMissing(self._database.name, wanted.slot, stored=None))
        try:
            causes = self._connectors.connect.status(wanted.definition.name).causes
        except ConnectorMissing:
            causes = []
        lost = next((cause for cause in causes if UNAVAILABLE in cause), None)
        return f"connector {wanted.definition.name}: {lost}" if lost else None

    def _remove(self, wanted: Wanted) -> None:
        """The connector with its offsets, once it has let go of its slot, and its topics with all they hold."""
        name, connect = wanted.definition.name, self._connectors.connect
        if connect.config(name) is not None:
            connect.stop(name)
            self._await_stopped(wanted)
            connect.delete_offsets(name)
            connect.delete(name)
        topics.remove(
            self._database.name, self._connectors.bootstrap, wanted.definition.topics, self._connectors.security
        )

    def _await_stopped(self, wanted: Wanted) -> None:
        """Until the connector has no task any more, and its slot no reader."""
        name = wanted.definition.name
        deadline = time.monotonic() + STOPPED
        while True:
            status = self._connectors.connect.status(name)
            state = slot_state(self._database.dsn, wanted.slot)
            if status.state == "STOPPED" and not status.tasks and (state is None or state.active_pid is None):
                return
            if time.monotonic() > deadline:
                raise Refused(
                    f"connector {name} did not stop in {STOPPED:.0f} s, and nothing was repaired. "
                    "Look at `headwater connectors status` and try again."
                )
            time.sleep(0.1)
