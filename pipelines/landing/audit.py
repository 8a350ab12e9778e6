"""Audit messages of a batch: who did what in which transaction, as rows of ``log.transactions``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import orjson

from cdc.events import Item, Message, Transaction
from cdc.positions import format_lsn
from pipelines.landing.text import array_literal, timestamp_text

PREFIX: Final = "headwater.audit"

INSERT: Final = """
insert into log.transactions
  (source, epoch, xid, seq, lsn, committed_at, actor, actor_name, command, request_id, reason, content)
select $1, $2::text::int, xid::bigint, seq::int, lsn::pg_lsn, committed_at::timestamptz, actor::uuid, actor_name,
  command, request_id::uuid, reason, content::jsonb
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
  $11::text[], $12::text[])
  as m (xid, seq, lsn, committed_at, actor, actor_name, command, request_id, reason, content)
"""


def rows(transactions: Iterable[tuple[Transaction, Iterable[Item]]]) -> list[tuple[str | None, ...]]:
    """One row an audit message, in the order of INSERT's columns from ``xid`` on."""
    found = []
    for transaction, items in transactions:
        for item in items:
            if type(item) is Message and item.prefix == PREFIX and item.transactional:
                found.append(_row(item, transaction.committed_at))
    return found


def parameters(source: str, epoch: int, found: list[tuple[str | None, ...]]) -> list[str]:
    """INSERT's parameters; ``found`` is not empty."""
    return [source, str(epoch), *(array_literal(column) for column in zip(*found, strict=True))]


def _row(message: Message, committed_at: int) -> tuple[str | None, ...]:
    content, text = _content(message.content)
    return (
        str(message.xid),
        str(message.seq),
        format_lsn(message.lsn),
        timestamp_text(committed_at),
        _uuid(content.get("actor")),
        _text(content.get("actor_name")),
        _text(content.get("command")),
        _uuid(content.get("request_id")),
        _text(content.get("reason")),
        text,
    )


def _content(raw: bytes) -> tuple[dict[str, Any], str]:
    """(the message as an object, text that jsonb accepts). What is no JSON object is kept as one JSON string."""
    try:
        content = orjson.loads(raw)
        text = raw.decode()
        if "\\u" in text:
            text = orjson.dumps(content).decode()
        # jsonb has no place for this one character, though JSON allows it.
        if isinstance(content, dict) and "\\u0000" not in text:
            return content, text
    except (orjson.JSONDecodeError, UnicodeDecodeError):
        pass
    return {}, orjson.dumps(raw.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")).decode()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
