"""Kafka: what one and two workers land in a second through Debezium, and how soon, beside the embedded transport;
and the whole profile.

Real broker, Connect and Debezium on the same machine (tests/kafka/plant.py), durable clusters, four partitions. What is
landed lies in Kafka before it is read; rates are those of the busiest three seconds.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from confluent_kafka import Consumer, TopicPartition

from bench.commits import RATE, SECONDS, time_commits
from bench.figure import Figure
from bench.kafka_profile import whole_profile
from bench.landing_stage import INSERT, Clusters, wait_for
from cdc.connect import Connect
from cdc.connectors import Cluster, Source, changes, changes_topic
from cdc.sources.kafka_member import KafkaStream
from cdc.topics import ends
from pipelines.landing.worker import SourceDatabase
from tests.kafka.plant import Plant, planted
from tests.pipelines.landing.kafka.process import arguments, spawn

CHANGES = 100_000
WINDOW = 3.0
"""Seconds."""
ROWS_A_TRANSACTION = 100

DEFAULTS = (
    "poll.interval.ms",
    "max.batch.size",
    "max.queue.size",
    "max.queue.size.in.bytes",
    "producer.override.linger.ms",
    "producer.override.compression.type",
    "extended.headers.enabled",
)
"""Settings of ours that are about speed: without them Debezium and Kafka have their own."""


def run() -> Iterator[Figure]:
    clusters = Clusters()
    try:
        with planted() as plant:
            yield from _throughput(clusters, plant)
            yield from _latency(clusters, plant)
            yield from _exactly_once(clusters, plant)
    finally:
        clusters.close()
    yield from whole_profile()


def _exactly_once(clusters: Clusters, plant: Plant) -> Iterator[Figure]:
    """What one connector brings into Kafka in a second, of changes that wait in its slot; read as landing reads."""
    rates = {"off": _sent(clusters, plant, "sent_off")}
    with planted(exactly_once=True) as careful:
        rates["on"] = _sent(clusters, careful, "sent_on")
    shape = f"{CHANGES:,} inserts of ten columns, {ROWS_A_TRANSACTION} a transaction, read committed"
    for state, rate in rates.items():
        yield Figure(f"into Kafka, exactly-once source {state}", round(rate), "changes/s", how=shape)


def _sent(clusters: Clusters, plant: Plant, name: str) -> float:
    clusters.table(name)
    clusters.slot(name)
    with clusters.oltp.connect() as connection:
        for _ in range(CHANGES // ROWS_A_TRANSACTION):
            connection.execute(INSERT.format(table=f"contacts.{name}", rows=ROWS_A_TRANSACTION).encode())
    topic = changes_topic(name)
    settings = {"bootstrap.servers": plant.bootstrap, "group.id": name, "isolation.level": "read_committed"}
    consumer = Consumer(settings | {"enable.auto.commit": False, "log_level": 2})
    with _connector(clusters, plant, name, name):
        consumer.assign([TopicPartition(topic, number, 0) for number in range(plant.topics[topic])])
        read, first = 0, 0.0
        while read < CHANGES:
            came = sum(message.error() is None for message in consumer.consume(10_000, 0.2))
            first = first or (time.perf_counter() if came else 0.0)
            read += came
        elapsed = time.perf_counter() - first
    consumer.close()
    return read / elapsed


def _throughput(clusters: Clusters, plant: Plant) -> Iterator[Figure]:
    rates = {}
    for workers in (("one",), ("one", "two")):
        name = f"by_{len(workers)}"
        clusters.table(name)
        with _connector(clusters, plant, name, name):
            with _landing(clusters, plant, name, name, *workers):
                wait_for(lambda name=name: _state(clusters, name) == "streaming")  # type: ignore[misc]
                wait_for(lambda name=name, all_of=workers: _owners(clusters, name) == len(all_of))  # type: ignore[misc]
            with clusters.oltp.connect() as connection:
                for _ in range(CHANGES // ROWS_A_TRANSACTION):
                    connection.execute(INSERT.format(table=f"contacts.{name}", rows=ROWS_A_TRANSACTION).encode())
            wait_for(lambda name=name: _delivered(plant, name) >= CHANGES)  # type: ignore[misc]
            with _landing(clusters, plant, name, name, *workers):
                wait_for(lambda name=name: _count(clusters, name) >= CHANGES)  # type: ignore[misc]
        rates[len(workers)] = _rate(clusters, name)
    shape = f"{CHANGES:,} inserts of ten columns, {ROWS_A_TRANSACTION} a transaction"
    yield Figure("landed by one worker", round(rates[1]), "changes/s", how=shape)
    yield Figure("landed by two workers", round(rates[2]), "changes/s", how=shape)
    yield Figure(
        "two workers to one", round(rates[2] / rates[1], 2), "times", how="machine and warehouse shared by all"
    )


def _latency(clusters: Clusters, plant: Plant) -> Iterator[Figure]:
    clusters.table("timed")
    shape = f"{RATE} single-row transactions a second aimed at, for {SECONDS} s"
    clusters.slot("hw_timed")
    with clusters.landing("timed", "hw_timed"):
        wait_for(lambda: _state(clusters, "timed") == "streaming")
        yield from _timed(clusters, "embedded", shape)
    clusters.drop_slot("hw_timed")
    for settings in ("tuned", "defaults"):
        name = f"timed_{settings}"
        clusters.run(f"create publication pub_{name} for table contacts.timed", "truncate contacts.timed")
        with psycopg.connect(clusters.dsn, autocommit=True) as connection:
            # The mirror of the last one's rows is another source's.
            connection.execute("drop table if exists raw_contacts.timed")
            connection.execute("delete from log.mirror where table_name = 'timed'")
            connection.execute("truncate log.change_log")
        with (
            _connector(clusters, plant, name, name, own=settings == "tuned"),
            _landing(clusters, plant, name, name, "one"),
        ):
            wait_for(lambda name=name: _state(clusters, name) == "streaming")  # type: ignore[misc]
            wait_for(lambda name=name: _owners(clusters, name) == 1)  # type: ignore[misc]
            yield from _timed(clusters, f"Debezium {settings}", shape)


def _timed(clusters: Clusters, transport: str, shape: str) -> Iterator[Figure]:
    timed = time_commits(clusters, patience=120)
    how = f"{shape}; {timed.rate:.0f} reached"
    yield Figure(f"commit → mirror p50, {transport}", timed.p50, "ms", how=how)
    yield Figure(f"commit → mirror p99, {transport}", timed.p99, "ms", how=how)


@contextmanager
def _connector(clusters: Clusters, plant: Plant, name: str, slot: str, *, own: bool = True) -> Iterator[None]:
    clusters.slot(slot)
    source = Source(
        name=name,
        host="127.0.0.1",
        port=clusters.oltp.port,
        database="postgres",
        user="postgres",
        password=plant.secret(name, clusters.oltp.password),
        slot=slot,
        publication=f"pub_{name}",
        outbox_slot="unused",
        outbox_publication="unused",
        services=(),
    )
    definition = changes(source, Cluster())
    if not own:
        config = {key: value for key, value in definition.config.items() if key not in DEFAULTS}
        definition = replace(definition, config=config)
    plant.create_topics(**{topic.name: topic.partitions for topic in definition.topics})
    with Connect([worker.url for worker in plant.workers.values()]) as connect:
        connect.put(definition)
        wait_for(lambda: connect.status(definition.name).running)
        try:
            yield
        finally:
            connect.delete(definition.name)


@contextmanager
def _landing(clusters: Clusters, plant: Plant, name: str, slot: str, *workers: str) -> Iterator[None]:
    source = SourceDatabase(
        name, clusters.oltp.dsn(), clusters.root / "spool", slot=slot, publications=(f"pub_{name}",)
    )
    processes: list[subprocess.Popen[bytes]] = []
    for worker in workers:
        stream = KafkaStream(plant.bootstrap, worker)
        given = arguments(source, stream, clusters.dsn, clusters.root / f"{name}-{worker}.json")
        processes.append(spawn(given, clusters.root / f"{name}-{worker}.log"))
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def _delivered(plant: Plant, name: str) -> int:
    topic = changes_topic(name)
    return sum(ends(name, plant.bootstrap, [(topic, number) for number in range(plant.topics[topic])]).values())


def _value(clusters: Clusters, query: str, name: str) -> object:
    with psycopg.connect(clusters.dsn, autocommit=True) as connection:
        row = connection.execute(query.encode(), [name]).fetchone()
    return row[0] if row else None


def _state(clusters: Clusters, name: str) -> object:
    return _value(clusters, "select state from log.source_state where source = %s", name)


def _owners(clusters: Clusters, name: str) -> object:
    return _value(clusters, "select count(distinct owner) from log.kafka_partition where source = %s", name)


def _count(clusters: Clusters, name: str) -> int:
    return int(str(_value(clusters, "select coalesce(sum(changes), 0) from log.batch where source = %s", name)))


def _rate(clusters: Clusters, name: str) -> float:
    """Changes a second in the busiest ``WINDOW``: workers come to their partitions one after the other."""
    with psycopg.connect(clusters.dsn, autocommit=True) as connection:
        rows = connection.execute(
            "select changes, extract(epoch from landed_at)::float8 from log.batch where source = %s and changes > 0"
            " order by landed_at",
            [name],
        ).fetchall()
    within = (sum(changes for changes, at in rows if began <= at < began + WINDOW) for _, began in rows)
    return float(max(within)) / WINDOW
