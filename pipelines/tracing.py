"""Spans of what happens to a write after its command: dispatch, landing, marts, each in the trace of the write.

The audit message at the head of a command's transaction carries the trace (``traceparent``, W3C trace context), so the
stream brings it to every reader. A batch holds many writes; each that is traced gets a span of its own in its own
trace, up to ``MOST`` of them. Without a tracer nothing here does anything, and OpenTelemetry is not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson
import psycopg

from cdc.events import Message, Transaction

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

PREFIX: Final = "headwater.audit"

MOST: Final = 64
"""Traces that one batch is followed in."""

_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """From now on traced writes are followed; None ends that."""
    global _tracer
    _tracer = tracer


def parent_of(item: object) -> str | None:
    """The trace context that an audit message carries; None for anything else."""
    if type(item) is not Message or item.prefix != PREFIX:
        return None
    try:
        found = orjson.loads(item.content).get("traceparent")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def parents_of(transactions: Iterable[Transaction]) -> list[str]:
    """Trace contexts of the transactions, each once, at most ``MOST``; empty without a tracer."""
    found: dict[str, None] = {}
    if _tracer is not None:
        for transaction in transactions:
            # The message stands at a transaction's head; later ones, of a transaction of many events, follow anywhere.
            for item in transaction.items:
                if parent := parent_of(item):
                    found[parent] = None
            if len(found) >= MOST:
                break
    return list(found)[:MOST]


def parents_of_batches(connection: psycopg.Connection[Any], batches: Sequence[int]) -> list[str]:
    """Trace contexts of these batches, at most ``MOST``; empty without a tracer.

    Those that landing left with a batch; where it left none, what the audit messages of its changes say: over Kafka a
    message may have landed by itself.
    """
    if _tracer is None or not batches:
        return []
    rows = connection.execute(
        """
        select unnest(traceparents) from log.batch where batch_id = any(%(batches)s)
        union
        select message.content ->> 'traceparent'
        from log.batch
        join log.change_log as change using (batch_id)
        join log.transactions as message
          on message.source = change.source and message.epoch = change.epoch and message.xid = change.xid
        where batch_id = any(%(batches)s) and traceparents is null and message.content ? 'traceparent'
        limit %(most)s
        """,
        {"batches": list(batches), "most": MOST},
    )
    return [str(row[0]) for row in rows.fetchall()]


@contextmanager
def spans(name: str, parents: Sequence[str], **attributes: str | int) -> Iterator[list[str]]:
    """A span in each parent's trace for as long as the block lasts; yields their own contexts, in the same order.

    An exception that leaves the block marks them as failed. ``attributes`` become ``headwater.<name>``.
    """
    if _tracer is None or not parents:
        yield list(parents)
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried = TraceContextTextMapPropagator()
    begun = [
        _tracer.start_span(
            name,
            context=carried.extract({"traceparent": parent}),
            kind=trace.SpanKind.CONSUMER,
            attributes={f"headwater.{key}": value for key, value in attributes.items()},
        )
        for parent in parents
    ]
    contexts = []
    for span in begun:
        carrier: dict[str, str] = {}
        carried.inject(carrier, trace.set_span_in_context(span))
        contexts.append(carrier.get("traceparent", ""))
    try:
        yield contexts
    except BaseException as error:
        for span in begun:
            span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        for span in begun:
            span.end()
