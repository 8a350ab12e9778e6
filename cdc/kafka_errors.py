"""What can be wrong between us and Kafka: which broker, topic or position, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from cdc.errors import SourceUnavailable, StreamError

REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)


class KafkaUnavailable(SourceUnavailable):
    """No broker answers. It ends by itself, unless the address is wrong."""

    def __init__(self, source: str, bootstrap: str, cause: object) -> None:
        StreamError.__init__(
            self,
            f"Source {source}: no Kafka broker answers at {bootstrap} ({cause}). Reading goes on once one does; if "
            "the brokers run, the address is wrong, or they ask for a login or for TLS (HEADWATER_KAFKA_…).",
        )
        self.source = source


class KafkaRefused(SourceUnavailable):
    """The broker knows us not, or lets us not read. It ends as soon as somebody sets the login right."""

    def __init__(self, source: str, bootstrap: str, cause: object) -> None:
        StreamError.__init__(
            self,
            f"Source {source}: the Kafka broker at {bootstrap} refuses our login ({cause}). Check "
            "HEADWATER_KAFKA_USER, the password's file, HEADWATER_KAFKA_MECHANISM and HEADWATER_KAFKA_TLS, and that "
            "the user may read the topics and the consumer group.",
        )
        self.source = source


class TopicMissing(StreamError):
    """A topic that the source is read from does not exist."""

    def __init__(self, source: str, topics: Sequence[str]) -> None:
        super().__init__(
            f"Source {source}: Kafka has no topic {', '.join(topics)}. Run `headwater connectors apply`, which makes "
            "topics before it makes the connectors that write to them."
        )
        self.source = source
        self.topics = tuple(topics)


class KafkaEpochMismatch(StreamError):
    """The stored offsets are of another Kafka cluster, or of a topic that was made anew: they mean nothing here."""

    def __init__(self, source: str, what: str, *, stored: str, found: str) -> None:
        super().__init__(
            f"Source {source}: stored offsets are of {what} {stored}, but Kafka has {found}: it was made anew. What "
            f"the old one had after those offsets cannot be read. Run `headwater repair {source}` to re-snapshot."
        )
        self.source = source


class OffsetGap(StreamError):
    """Records after a stored offset are gone, most often by the topic's retention."""

    def __init__(self, source: str, topic: str, partition: int, *, stored: int, low: int, high: int) -> None:
        where = f"{topic}[{partition}]"
        super().__init__(
            f"Source {source}: reading {where} was to go on at offset {stored}, but Kafka has {low} to {high}: what "
            f"lies between is gone. Run `headwater repair {source}` to re-snapshot."
        )
        self.source = source
        self.topic = topic
        self.partition = partition


def named(source: str, bootstrap: str, problems: Iterable[KafkaError], error: Exception) -> StreamError:
    """The first refusal that librdkafka spoke of, otherwise an outage with its last words; ``problems`` are what its
    ``error_cb`` was given."""
    own = [error.args[0]] if isinstance(error, KafkaException) else []
    said = [*problems, *own]
    for problem in said:
        if problem.code() in REFUSALS:
            return KafkaRefused(source, bootstrap, problem.str())
    return KafkaUnavailable(source, bootstrap, said[-1].str() if said else error)
