"""What was set aside because it could not be applied: listed for a person, and given another chance."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from headwater import landing
from headwater.config import Config
from pipelines.landing.kafka.replay import list_records, replay_records
from pipelines.landing.replay import list_parked, replay_parked
from pipelines.landing.worker import SourceDatabase

EVENTS = """
select consumer, type, event_id::text, aggregate_type, aggregate_id::text, attempts, last_error, behind
from stream.parked
order by parked_at
"""
KEYS = "select model, key, attempts, error from ops.parked_key order by parked_at"  # key '*': the whole model
RECORDS = "select source, topic, partition, record_offset, error from stream.kafka_parked order by parked_at"
MALFORMED = "select source, producer, outbox_id, error from stream.malformed order by found_at"


def listed(config: Config) -> Iterator[str]:
    """A sentence for each parked change, record, key of a mart, event and malformed outbox row, with the reason."""
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        for key in list_parked(warehouse):
            named = ", ".join(f"{column} {value}" for column, value in key.key.items())
            yield f"change  {key.table} {named} ({key.source}): {key.changes} waiting since {key.since}; {key.error}"
        for record in list_records(warehouse):
            yield f"record  {record.topic}[{record.partition}] {record.offset} ({record.source}): {record.error}"
        for model, key, attempts, error in warehouse.execute(KEYS):
            what = "the whole model" if key == "*" else f"key {key}"
            yield f"mart    {model}, {what}: refused {attempts} times; {error}"
    with psycopg.connect(config.stream_url("postgres"), autocommit=True) as stream:
        for consumer, kind, event, aggregate, aggregate_id, attempts, error, behind in stream.execute(EVENTS):
            yield (
                f"event   {kind} {event} for {consumer}, of {aggregate} {aggregate_id}: "
                f"refused {attempts} times, {behind} wait behind it; {error}"
            )
        for source, topic, partition, offset, error in stream.execute(RECORDS):
            yield f"record  {topic}[{partition}] {offset} ({source}) is no event: {error}"
        for source, producer, outbox_id, error in stream.execute(MALFORMED):
            yield f"outbox  {producer} {outbox_id} ({source}) is no event: {error}"


def replay(config: Config) -> Iterator[str]:
    """Applies parked changes again, reads parked records again, gives parked keys and events another try at once; says
    what became of them."""
    for database in landing.databases(config):
        yield from _replay_records(config, database)
        done = replay_parked(config.warehouse_url(), database.name)
        yield f"changes of {database.name}: {done.applied} applied, {len(done.still_refused)} keys still refused"
        for key in done.still_refused:
            yield f"  {key.table} {key.key}: {key.error}"
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        row = warehouse.execute("select ops.retry_parked()").fetchone()
        if row and row[0]:
            yield f"keys of marts: {row[0]} are tried again now; see `headwater status`"
    with psycopg.connect(config.stream_url("hw_dispatch"), autocommit=True) as stream:
        consumers = [row[0] for row in stream.execute("select distinct consumer from stream.parked order by 1")]
        for consumer in consumers:
            row = stream.execute("select stream.replay(%s)", [consumer]).fetchone()
            yield f"events for {consumer}: {row[0] if row else 0} are tried again now; see `headwater status`"


def _replay_records(config: Config, database: SourceDatabase) -> Iterator[str]:
    """Of a source that was never read over Kafka there are none, and nothing is said."""
    with psycopg.connect(config.warehouse_url(), autocommit=True) as warehouse:
        if not list_records(warehouse, database.name):
            return
    done = replay_records(config.warehouse_url(), database.name, database.publications)
    yield (
        f"records of {database.name}: {done.read} read, with {done.changes} new changes, "
        f"{len(done.still_unreadable)} still unreadable"
    )
    for record in done.still_unreadable:
        yield f"  {record.topic}[{record.partition}] {record.offset}: {record.error}"
