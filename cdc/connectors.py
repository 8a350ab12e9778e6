"""Debezium connectors and their topics, written out for one source database: nothing is left to a default that loses.

A source has two: one reads every row change and message for landing, one reads outboxes for dispatch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

PLUGIN: Final = "io.debezium.connector.postgresql.PostgresConnector"
VERSION: Final = "3.7"
"""The Debezium that the settings below are for; its patches (3.7.x) change none of them."""

UNCHANGED: Final = "headwater:unchanged:5d1c1b0e-8a52-4f0c-9d3f-3a7f6f1f7d27"
"""Stands where PostgreSQL did not send a TOASTed value. Debezium's own word for it could be somebody's text."""

AUDIT, SCHEMA_CHANGES, MARK, HEARTBEAT = "headwater.audit", "headwater.ddl", "headwater.mark", "headwater.heartbeat"
"""Prefixes of logical messages. Landing writes marks, to see how far messages have come; connectors write heartbeats,
which nobody reads."""

HEARTBEAT_SECONDS: Final = 10

RECORD_MB: Final = 40
"""Megabytes of the largest record. A row's two images are one record, so Kafka's own 1 MB is soon too small."""

OUTBOX_HEADERS: Final = (
    "type",
    "aggregate_type",
    "aggregate_version",
    "schema_version",
    "occurred_at",
    "causation_id",
    "correlation_id",
    "actor_id",
    "traceparent",
)
"""Columns of an outbox that travel as headers; ``id`` does too, by the router's own rule."""

COMMON: Final = {
    "publication.autocreate.mode": "disabled",
    # Initial reads are ours (cdc.snapshot): resumable, and without a gap or an overlap with the slot.
    "snapshot.mode": "no_data",
    "decimal.handling.mode": "string",
    "interval.handling.mode": "string",
    "time.precision.mode": "adaptive",
    "binary.handling.mode": "hex",
    "hstore.handling.mode": "json",
    "include.unknown.datatypes": "true",
    "column.propagate.source.type": ".*",
    "unavailable.value.placeholder": UNCHANGED,
    # The default writes NULL for a value that cannot be converted, and a line to the log.
    "event.converting.failure.handling.mode": "fail",
    "tombstones.on.delete": "false",
    "schema.refresh.mode": "columns_diff",
    # The slot follows also while only other databases of the cluster write.
    "heartbeat.interval.ms": str(HEARTBEAT_SECONDS * 1000),
    "heartbeat.action.query": f"select pg_logical_emit_message(true, '{HEARTBEAT}', '')",
    "exactly.once.support": "requested",
    # Debezium looks so often for changes and collects them so long. At 10 ms the ten idle connectors of five sources
    # took 80 % of a core, at 25 42 %, at 50 24 %, at its default of 500 8 %.
    "poll.interval.ms": "20",
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    "max.queue.size.in.bytes": str(64 * 1024 * 1024),
    "producer.override.linger.ms": "0",
    "producer.override.compression.type": "lz4",
    # 27,000 events/s instead of 16 to 22,000.
    "extended.headers.enabled": "false",
    # A database that was restarted is read again after 2 s instead of 10 s.
    "retriable.restart.connector.wait.ms": "2000",
    "slot.retry.delay.ms": "2000",
}
"""What both connectors of a source share."""

Format = Literal["json", "avro"]


@dataclass(frozen=True, slots=True)
class Source:
    """A database that Debezium reads. ``password`` is a reference that the Connect workers resolve, such as
    ``${secrets:/run/secrets:replication}``: whoever may read definitions must not read passwords.

    ``slot`` and ``publication`` exist already and hold everything for landing; ``outbox_slot`` and
    ``outbox_publication`` the outboxes, which are the table ``outbox`` of each of the ``services`` (schemas).
    """

    name: str
    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    slot: str
    publication: str
    outbox_slot: str
    outbox_publication: str
    services: tuple[str, ...]

    @property
    def prefix(self) -> str:
        return f"hw.{self.name}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the topics of a source are made with. ``replication``: copies of each partition, each on another broker.
    ``record_mb`` bounds a record. ``registry`` is Apicurio's ``…/apis/registry/v2``, for Avro alone."""

    partitions: int = 4
    replication: int = 1
    record_mb: int = RECORD_MB
    format: Format = "json"
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """Brokers need no setting of their own for large records: the topic's holds, and replicas fetch one whatever its
    size."""

    name: str
    partitions: int
    replication: int
    record_mb: int = RECORD_MB

    @property
    def needed_in_sync(self) -> int:
        """A write counts once so many copies have it. One less than there are: one broker may be away, and what was
        written survives the loss of another."""
        return max(1, self.replication - 1)

    @property
    def config(self) -> Mapping[str, str]:
        return {"min.insync.replicas": str(self.needed_in_sync), "max.message.bytes": str(self.record_mb << 20)}


@dataclass(frozen=True, slots=True)
class Definition:
    """A connector: its name, its settings as Connect takes them, the topics that must exist before it starts."""

    name: str
    config: Mapping[str, str]
    topics: tuple[Topic, ...]


def changes_topic(source: str) -> str:
    """Every row change and truncation; the record's key is the row's primary key, so a row stays in one partition."""
    return f"hw.{source}.changes"


def messages_topic(source: str) -> str:
    """Audit messages and schema changes, in commit order."""
    return f"hw.{source}.messages"


def outbox_topic(source: str) -> str:
    """Events of every service of the source; the record's key is the aggregate's id."""
    return f"hw.{source}.outbox"


def changes(source: Source, cluster: Cluster) -> Definition:
    """Every row change of every published table to one topic, messages to another."""
    prefix = source.prefix
    quoted = re.escape(prefix)
    own = {
        "topic.prefix": prefix,
        "slot.name": source.slot,
        "publication.name": source.publication,
        "skipped.operations": "none",
        "provide.transaction.metadata": "true",
        "message.prefix.include.list": ",".join(re.escape(prefix) for prefix in (AUDIT, SCHEMA_CHANGES, MARK)),
        # A topic for each table would make hundreds of partitions, and lose the order between tables altogether.
        "transforms": "changes,messages,marks",
        "transforms.changes.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.changes.regex": rf"{quoted}\.[^.]+\..+",
        "transforms.changes.replacement": changes_topic(source.name),
        "transforms.messages.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.messages.regex": rf"{quoted}\.message",
        "transforms.messages.replacement": messages_topic(source.name),
        # Numbers within a transaction are wanted, its beginning and end are not: where a beginning is the last thing
        # that was noted as delivered, Debezium may go on behind changes that were not (docs/decisions/0073).
        "transforms.marks.type": "org.apache.kafka.connect.transforms.Filter",
        "transforms.marks.predicate": "marks",
        "predicates": "marks",
        "predicates.marks.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.marks.pattern": rf"{quoted}\.transaction",
    }
    topics = (
        _topic(cluster, changes_topic(source.name), cluster.partitions),
        _topic(cluster, messages_topic(source.name)),
    )
    return _definition(source, cluster, f"{source.prefix}.changes", own | _converters(cluster), topics)


def outbox(source: Source, cluster: Cluster) -> Definition:
    """Events of the outboxes to one topic: key the aggregate's id, value the payload's text as PostgreSQL wrote it, the
    other columns as headers, and ``producer``, the service that wrote it."""
    prefix = outbox_topic(source.name)
    own = {
        "topic.prefix": prefix,
        "slot.name": source.outbox_slot,
        "publication.name": source.outbox_publication,
        # Nobody watches an event on its way from service to service.
        "poll.interval.ms": "50",
        # Rows that retention deletes are no news.
        "skipped.operations": "u,d,t",
        "message.prefix.exclude.list": ".*",
        "transforms": ",".join([*source.services, "outbox"]),
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.table.field.event.id": "id",
        "transforms.outbox.table.field.event.key": "aggregate_id",
        "transforms.outbox.table.field.event.payload": "payload",
        "transforms.outbox.table.fields.additional.placement": ",".join(f"{name}:header" for name in OUTBOX_HEADERS),
        "transforms.outbox.route.by.field": "aggregate_type",
        "transforms.outbox.route.topic.replacement": prefix,
        "predicates": ",".join(source.services),
        # JsonConverter would encode the payload's text a second time, and expanding it would turn 12.50 into 12.5.
        **{
            f"{part}.converter": "org.apache.kafka.connect.storage.StringConverter"
            for part in ("key", "value", "header")
        },
    }
    for service in source.services:
        own |= {
            f"predicates.{service}.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
            f"predicates.{service}.pattern": re.escape(f"{prefix}.{service}.outbox"),
            f"transforms.{service}.type": "org.apache.kafka.connect.transforms.InsertHeader",
            f"transforms.{service}.header": "producer",
            f"transforms.{service}.value.literal": service,
            f"transforms.{service}.predicate": service,
        }
    return _definition(source, cluster, prefix, own, (_topic(cluster, prefix, cluster.partitions),))


def _definition(
    source: Source, cluster: Cluster, name: str, own: Mapping[str, str], topics: tuple[Topic, ...]
) -> Definition:
    heartbeats = _topic(cluster, f"__debezium-heartbeat.{own['topic.prefix']}")
    config = {
        "connector.class": PLUGIN,
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": source.host,
        "database.port": str(source.port),
        "database.dbname": source.database,
        "database.user": source.user,
        "database.password": source.password,
        **COMMON,
        "producer.override.max.request.size": str(cluster.record_mb << 20),
        # What is larger than all that the producer may keep is refused too, whatever the line above says.
        "producer.override.buffer.memory": str(2 * cluster.record_mb << 20),
        **own,
    }
    return Definition(name, config, (*topics, heartbeats))


def _topic(cluster: Cluster, name: str, partitions: int = 1) -> Topic:
    return Topic(name, partitions, cluster.replication, cluster.record_mb)


def _converters(cluster: Cluster) -> dict[str, str]:
    """How keys and values are written. JSON keeps a NULL apart from a column's default; in Avro it arrives as that
    default, whatever the setting says: Apicurio's converter (2.6.13) reads a field without its default only where
    ``ignoreDefaultForNullables`` is set in it, and nothing sets that."""
    if cluster.format == "json":
        kind = {"": "org.apache.kafka.connect.json.JsonConverter", ".schemas.enable": "true"}
    else:
        kind = {
            "": "io.apicurio.registry.utils.converter.AvroConverter",
            ".apicurio.registry.url": cluster.registry,
            ".apicurio.registry.auto-register": "true",
            ".apicurio.registry.find-latest": "true",
            # Confluent's wire format: a zero byte and four bytes of the schema's id before the value.
            ".apicurio.registry.as-confluent": "true",
            ".apicurio.registry.use-id": "contentId",
            ".apicurio.registry.headers.enabled": "false",
            ".schemas.enable": "true",
        }
    kind[".replace.null.with.default"] = "false"
    names = (
        {}
        if cluster.format == "json"
        else {"schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro"}
    )
    return {f"{part}.converter{name}": value for part in ("key", "value") for name, value in kind.items()} | names
