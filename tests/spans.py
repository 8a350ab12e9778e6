"""Spans of this process, kept where a test can look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pipelines import tracing


@contextmanager
def followed() -> Iterator[InMemorySpanExporter]:
    """Traced writes are followed while the block lasts."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracing.install(provider.get_tracer("test"))
    try:
        yield kept
    finally:
        tracing.install(None)
        provider.shutdown()
