"""Prometheus metrics of the Kafka profile: brokers and copies, Connect and its tasks, who is how far behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import psycopg

from cdc.connect import Connect
from cdc.errors import ConnectUnavailable, StreamError
from cdc.lag import lags
from headwater.config import Config
from headwater.connectors import Connectors
from headwater.kafka import profile
from headwater.metrics import counter, gauge
from headwater.state import Home
from headwater.status import TIMEOUT

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONNECT_TIMEOUT = 3.0
STATES = ("RUNNING", "PAUSED", "FAILED", "UNASSIGNED", "RESTARTING", "STOPPED")

CONSUMERS = {
    "landing": (
        "select source, topic, partition, next_offset from log.kafka_partition",
        "select source, count(*) from log.kafka_parked group by source",
    ),
    "dispatch": (
        "select source, topic, partition, next_offset from stream.kafka_partition",
        "select source, count(*) from stream.kafka_parked group by source",
    ),
}
"""Who reads topics: where each stands, and what it could not read."""


def families(home: Home, config: Config) -> Iterable[Metric]:
    """What does not answer in seconds is left out, and said to be down."""
    own = Connectors(home, config)
    yield from _brokers(own)
    yield from _connect(own, config)
    yield from _consumers(own, config)


def _brokers(own: Connectors) -> Iterable[Metric]:
    try:
        thin = own.thin()
    except StreamError:
        thin = None
    yield gauge("kafka_up", "1 if the brokers answer and let us in.", (), [((), thin is not None)])
    for name, help, count in (
        (
            "kafka_partitions_lacking_copies",
            "Partitions with fewer copies in sync than they are to have.",
            None if thin is None else len(thin),
        ),
        (
            "kafka_partitions_unwritable",
            "Partitions that nothing is written to, for lack of copies in sync.",
            None if thin is None else sum(not one.writable for one in thin),
        ),
    ):
        yield gauge(name, help, (), [((), count)])


def _connect(own: Connectors, config: Config) -> Iterable[Metric]:
    names = [wanted.definition.name for wanted in own.wanted]
    found: dict[str, Any] = {}
    answers = True
    with Connect(profile.connect_urls(config), timeout=CONNECT_TIMEOUT, patience=0.0) as connect:
        for name in names:
            try:
                found[name] = connect.status(name)
            except ConnectUnavailable:
                answers = False
                break
            except StreamError:
                continue
    yield gauge("connect_up", "1 if a Connect worker answers.", (), [((), answers)])
    yield gauge(
        "connector_state",
        "1 at the state that the connector is in, by Connect's word; absent where Connect knows none of the name.",
        ("connector", "state"),
        [((name, state.lower()), status.state == state) for name, status in found.items() for state in STATES],
    )
    yield gauge(
        "connector_task_state",
        "1 at the state that the task is in.",
        ("connector", "task", "state"),
        [
            ((name, str(task.number), state.lower()), task.state == state)
            for name, status in found.items()
            for task in status.tasks
            for state in STATES
        ],
    )


def _consumers(own: Connectors, config: Config) -> Iterable[Metric]:
    stored: dict[tuple[str, int], int | None] = {}
    readers: dict[tuple[str, int], tuple[str, str]] = {}
    parked: list[tuple[tuple[str, str], int]] = []
    urls = {"landing": config.warehouse_url(), "dispatch": config.stream_url("hw_dispatch")}
    for consumer, (places, refused) in CONSUMERS.items():
        try:
            with psycopg.connect(f"{urls[consumer]}?{TIMEOUT}", autocommit=True) as connection:
                parked += [((consumer, str(source)), int(count)) for source, count in connection.execute(refused)]
                for source, topic, number, offset in connection.execute(places):
                    stored[topic, number] = offset
                    readers[topic, number] = (consumer, source)
        except psycopg.Error:
            continue  # counted among the problems
    try:
        read = lags(", ".join(source.name for source in own.sources), own.bootstrap, stored, own.security)
    except StreamError:
        read = []  # Kafka is said to be down
    labels = ("consumer", "source", "topic", "partition")
    for kind, name, help, field in (
        (gauge, "kafka_unread_records", "Records that the consumer has yet to store.", "unread"),
        (gauge, "kafka_oldest_unread_seconds", "Age of the oldest of them; 0 if there are none.", "seconds"),
        (counter, "kafka_written_records", "Records written to the partition since it was made.", "end"),
        (counter, "kafka_read_records", "Records of it that the consumer has stored.", "stored"),
    ):
        rows = [
            ((*readers[lag.topic, lag.partition], lag.topic, str(lag.partition)), getattr(lag, field)) for lag in read
        ]
        yield kind(name, help, labels, rows)
    yield gauge(
        "kafka_parked_records",
        "Records that the consumer could not read and set aside.",
        ("consumer", "source"),
        parked,
    )
