"""What commands cost and where each belongs: a tally of every run, and a span of it where a tracer was installed.

The tally is a few additions under a lock. Without a tracer, tracing is a comparison with None: OpenTelemetry is not
even imported.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, seconds."""


@dataclass(slots=True)
class Tally:
    """Runs of one command with one status; ``buckets`` counts by ``BOUNDS``, the last one what took longer."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


@dataclass(slots=True)
class Outcome:
    """Set by whoever runs the command: the HTTP status of its answer. 500 is a fault of ours."""

    status: int = 500


_tallies: dict[tuple[str, int], Tally] = {}
_lock = threading.Lock()
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> None:
    """From now on every command has a span; None ends that."""
    global _tracer
    _tracer = tracer


def tallies() -> dict[tuple[str, int], Tally]:
    """Since this process began, by command and status: a copy."""
    with _lock:
        return {key: Tally(t.count, t.seconds, list(t.buckets)) for key, t in _tallies.items()}


@contextmanager
def observed(command: str, attributes: Mapping[str, str]) -> Iterator[Outcome]:
    """Around one run of ``command``. ``attributes`` describe its span; they name no person."""
    outcome = Outcome()
    began = time.perf_counter()
    try:
        if _tracer is None:
            yield outcome
        else:
            with _span(_tracer, command, attributes, outcome):
                yield outcome
    finally:
        _count(command, outcome.status, time.perf_counter() - began)


def traceparent() -> str | None:
    """The present span as W3C trace context, to be handed on; None without one."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def carried() -> str | None:
    """``traceparent`` for what is written down and followed later; None if the trace was not sampled."""
    found = traceparent()
    return found if found and int(found[-2:], 16) & 1 else None


@contextmanager
def applying(name: str, traceparents: Sequence[str | None]) -> Iterator[None]:
    """Around work for events that came from elsewhere: a span in the trace of each, the first one's as present span."""
    known = [parent for parent in dict.fromkeys(traceparents) if parent]
    if _tracer is None or not known:
        yield
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    read = TraceContextTextMapPropagator().extract
    spans = [
        _tracer.start_span(name, context=read({"traceparent": parent}), kind=trace.SpanKind.CONSUMER)
        for parent in known
    ]
    try:
        with trace.use_span(spans[0]):
            yield
    finally:
        for span in spans:
            span.end()


@contextmanager
def _span(tracer: Tracer, command: str, attributes: Mapping[str, str], outcome: Outcome) -> Iterator[None]:
    from opentelemetry.trace import Status, StatusCode

    with tracer.start_as_current_span(
        command, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        finally:
            span.set_attribute("headwater.status", outcome.status)
            if outcome.status >= 500:
                span.set_status(Status(StatusCode.ERROR))


def _count(command: str, status: int, seconds: float) -> None:
    place = bisect_left(BOUNDS, seconds)
    with _lock:
        tally = _tallies.setdefault((command, status), Tally())
        tally.count += 1
        tally.seconds += seconds
        tally.buckets[place] += 1
