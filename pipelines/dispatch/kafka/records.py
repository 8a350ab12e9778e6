"""Records of an outbox topic as outbox rows: key, value and headers as ``cdc.connectors.outbox`` has them written."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Message

from cdc.connectors import OUTBOX_HEADERS
from cdc.sources.kafka_member import Partition
from pipelines.dispatch.outbox import OutboxRow


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no outbox row, whole. ``headers`` in their order; a name may come twice."""

    partition: Partition
    offset: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None
    error: str


def row_of(partition: Partition, message: Message) -> OutboxRow | Unreadable:
    """The outbox row that the record carries. Whether it is an event is for ``OutboxRow.problem`` and the database."""
    offset = message.offset()
    assert offset is not None
    key, value, headers = message.key(), message.value(), _headers(message)
    given = dict(headers)
    try:
        producer = _text("producer", given.get("producer"))
        if producer is None:
            raise ValueError("no header says which service wrote it (producer)")
        image = {name: _text(name, given.get(name)) for name in ("id", *OUTBOX_HEADERS)}
        image["aggregate_id"] = _text("key", key)
        image["payload"] = _text("value", value)
    except ValueError as error:
        return Unreadable(partition, offset, key, headers, value, str(error))
    return OutboxRow(producer, image)


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _text(name: str, content: bytes | None) -> str | None:
    """Raises ValueError for what is no text that PostgreSQL could hold."""
    if content is None:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is no UTF-8 text: {error.reason} at byte {error.start}") from None
    if "\0" in text:
        raise ValueError(f"{name} holds a NUL character")
    return text
