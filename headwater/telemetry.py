"""Sets up OpenTelemetry in a process that was told where to send its traces; elsewhere nothing is imported.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) turns it on; OpenTelemetry's other variables (headers,
sampler, resource attributes) apply. Spans leave over HTTP in a thread of their own and are dropped, never waited for,
where nobody takes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

UNTRACED = ("/healthz", "/metrics")
"""Asked every few seconds by machines, which learn nothing from a trace."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d+", re.IGNORECASE)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def is_wanted() -> bool:
    return any(os.environ.get(name) for name in ENDPOINTS) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def configure(process: str) -> Tracer | None:
    """Starts to send spans of this process, which is called ``process`` in them; None if nobody wants them.

    What is still unsent when the process ends is sent then.
    """
    if not is_wanted():
        return None
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from pipelines import tracing
    from transactional.kernel import observing

    named = {"service.namespace": "headwater", "service.name": f"headwater-{process}"}
    provider = TracerProvider(resource=Resource.create(named | {"service.version": version("headwater")}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = provider.get_tracer("headwater")
    tracing.install(tracer)
    observing.install(tracer)
    return tracer


def traced(application: Application, tracer: Tracer | None) -> Application:
    """The WSGI application with a span around each request, in the trace that the client's ``traceparent`` names."""
    if tracer is None:
        return application
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    extract = TraceContextTextMapPropagator().extract

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path in UNTRACED:
            return application(environ, start_response)
        carried = {
            name: environ[f"HTTP_{name.upper()}"]
            for name in ("traceparent", "tracestate")
            if f"HTTP_{name.upper()}" in environ
        }
        with tracer.start_as_current_span(
            f"{method} {_ID.sub('{id}', path)}",
            context=extract(carried),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": path},
        ) as span:

            def answered(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                code = int(status.partition(" ")[0])
                span.set_attribute("http.response.status_code", code)
                if code >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                return start_response(status, headers, *rest)

            return application(environ, answered)

    return serve
