"""The dispatch worker over Kafka: a batch becomes deliveries and offsets in one transaction, whoever shares the topic.

An aggregate's events are in one partition, so their order is the partition's; events of two aggregates have none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import psycopg

from cdc.connectors import outbox_topic
from cdc.errors import StreamError
from cdc.failpoints import reach
from cdc.sources.kafka_member import Group, KafkaEpoch, KafkaStream, Member, Partition, Read, Start
from pipelines.dispatch.errors import DispatchError
from pipelines.dispatch.kafka.records import Unreadable, row_of
from pipelines.dispatch.kafka.store import Partitions
from pipelines.dispatch.outbox import OutboxRow, traced
from pipelines.dispatch.store import connect, insert_deliveries
from pipelines.dispatch.worker import MAX_CHANGES, READ_TIMEOUT, report
from pipelines.runtime import BackOff, Heartbeat, collect_rarely, run_each

FAILPOINTS: Final = ("dispatch.before_insert", "dispatch.before_commit", "dispatch.after_commit")


class KafkaDispatcher:
    """Dispatches one source beside others who do. ``stream_dsn`` logs in to the stream database as ``hw_dispatch``.

    Whatever goes wrong is named in the heartbeat and in the log, and tried again from the stored offsets: an outage
    ends by itself, a topic that was made anew once it was repaired.
    """

    def __init__(self, source: str, stream: KafkaStream, stream_dsn: str, heartbeat: Heartbeat) -> None:
        self._source = source
        self._stream = stream
        self._stream_dsn = stream_dsn
        self._heartbeat = heartbeat

    def run(self, stop: threading.Event) -> None:
        back_off = BackOff()
        while not stop.is_set():
            try:
                with connect(self._stream_dsn) as connection:
                    self._dispatch(connection, back_off, stop)
            except (StreamError, DispatchError, psycopg.OperationalError) as error:
                report(self._heartbeat, self._source, str(error).strip())
                back_off.wait(stop)

    def _dispatch(
        self, connection: psycopg.Connection[tuple[object, ...]], back_off: BackOff, stop: threading.Event
    ) -> None:
        partitions = Partitions(connection, self._source)
        epochs: list[KafkaEpoch] = []

        def claim(given: Sequence[Partition]) -> Mapping[Partition, Start]:
            return partitions.claim(given, epochs[0])

        at = self._stream
        member = Member(
            self._source,
            at.bootstrap,
            [outbox_topic(self._source)],
            Group(f"hw.dispatch.{self._source}", at.member, at.session_timeout),
            claim=claim,
            release=lambda gone, _lost: partitions.release(gone),
            settings=at.settings,
        )
        try:
            epochs.append(member.start())
            partitions.enter(epochs[0])
            report(self._heartbeat, self._source, None)
            while not stop.is_set():
                read = member.read(MAX_CHANGES, READ_TIMEOUT)
                self._heartbeat.beat()
                if read.records:
                    self._store(connection, partitions, read)
                    back_off.reset()
        finally:
            member.close()

    def _store(self, connection: psycopg.Connection[tuple[object, ...]], partitions: Partitions, read: Read) -> None:
        offsets = {partition: (message.offset() or 0) + 1 for partition, message in read.records}
        found = [row_of(partition, message) for partition, message in read.records]
        rows = [row for row in found if isinstance(row, OutboxRow)]
        with connection.transaction():
            reach("dispatch.before_insert")
            partitions.hold(offsets)
            with traced(rows) as carried:
                delivered = sum(insert_deliveries(connection, self._source, carried).values())
            partitions.park(row for row in found if isinstance(row, Unreadable))
            partitions.move(offsets)
            reach("dispatch.before_commit")
        reach("dispatch.after_commit")
        self._heartbeat.progress(events=len(rows), deliveries=delivered)


def run(
    sources: Sequence[str], stream: KafkaStream, stream_dsn: str, heartbeat: Heartbeat, stop: threading.Event
) -> None:
    """Dispatches every source, each in a thread of its own, until ``stop``. Raises an error that is nobody's outage."""
    collect_rarely()
    run_each(
        {
            f"dispatch-{source}": partial(KafkaDispatcher(source, stream, stream_dsn, heartbeat).run, stop)
            for source in sources
        },
        stop,
    )
