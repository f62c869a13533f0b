"""OpenTelemetry's SDK in this process. Imported only while tracing is on.

The thread that exports spans starts with the first span, so after a web server or worker has forked. It alone talks to
the collector: a request only appends to its queue, and spans are dropped while that is full.
"""

import logging
import os
import socket
import threading

from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider, Tracer

logger = logging.getLogger(__name__)

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
"""The version of the semantic conventions that names of attributes follow."""
STOP_S = 2.0
"""For the last export of a process that ends; within the 10 s that gunicorn gives each web process."""

_lock = threading.Lock()
_provider: TracerProvider | NoOpTracerProvider | None = None


def tracer() -> Tracer:
    """The tracer of this process. Never fails: without an exporter, nothing is recorded."""
    global _provider
    with _lock:
        if _provider is None:
            _provider = _started()
        return _provider.get_tracer("aiinfra", schema_url=SCHEMA)


def stop(timeout_s: float) -> None:
    """Send what is left, for at most the timeout in seconds. Later spans are not recorded."""
    global _provider
    with _lock:
        provider, _provider = _provider, NoOpTracerProvider()
    if isinstance(provider, TracerProvider):
        last = threading.Thread(target=provider.shutdown, name="last-export", daemon=True)
        last.start()
        last.join(timeout_s)


def takes_spans(endpoint: str, timeout_s: float) -> bool:
    """Whether the collector accepts an empty export within the timeout in seconds. Failures are logged."""
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]


def _started() -> TracerProvider | NoOpTracerProvider:
    try:
        provider = TracerProvider(resource=_resource())
        provider.add_span_processor(_processor())
    except Exception:
        logger.exception("traces are not recorded")
        return NoOpTracerProvider()
    return provider


def _processor() -> BatchSpanProcessor:
    exporter = OTLPSpanExporter(endpoint=settings.TRACES_ENDPOINT, timeout=settings.TRACES_TIMEOUT_S)
    return BatchSpanProcessor(
        exporter,
        max_queue_size=settings.TRACES_KEPT_MAX,
        schedule_delay_millis=settings.TRACES_PAUSE_MS,
        max_export_batch_size=settings.TRACES_SENT_MAX,
    )


def _resource() -> Resource:
    """This process. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` take precedence."""
    host, pid = socket.gethostname(), os.getpid()
    ours: dict[str, str | int] = {
        "service.name": settings.TRACES_SERVICE,
        "service.instance.id": f"{host}:{pid}",
        "host.name": host,
        "process.pid": pid,
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())
