"""Spans around blocks of code, and the trace that a request carries from process to process.

Exceptions are not recorded: their messages can quote a prompt.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

Kind = Literal["INTERNAL", "CLIENT", "CONSUMER", "SERVER"]
Carried = Mapping[str, str]
"""`traceparent` and `tracestate`, as W3C defines them."""
MaybeSpan = AbstractContextManager["Span | None"]
CARRIED = ("traceparent", "tracestate")
NO_SPAN: MaybeSpan = nullcontext(None)
SDK = "aiinfra.tracing.sdk"


def preload() -> None:
    """Import the SDK before a process forks, so that its children share the memory."""
    if settings.TRACING:
        importlib.import_module(SDK)


def stop() -> None:
    """Flush this process's spans before it exits, for at most two seconds."""
    if settings.TRACING:
        from aiinfra.tracing import sdk

        sdk.stop(sdk.STOP_S)


def span(
    name: str,
    kind: Kind = "INTERNAL",
    attributes: Mapping[str, Any] | None = None,
    continuing: Carried | None = None,
) -> MaybeSpan:
    """A span around the block; None without tracing.

    It continues the carried trace, or else is within the current span. Without either, it begins a trace.
    """
    return _span(name, kind, attributes, continuing) if settings.TRACING else NO_SPAN


def span_within(name: str) -> MaybeSpan:
    """A span around the block, within the current one; None without tracing, or outside of a trace."""
    return _span(name) if settings.TRACING and ids_for_logs() else NO_SPAN


def record(name: str, began: datetime, ended: datetime, continuing: Carried) -> None:
    """Record a span that is over, in a carried trace."""
    if settings.TRACING:
        from aiinfra.tracing.sdk import tracer

        start = _nanoseconds(began)
        tracer().start_span(name, context_of(continuing), start_time=start).end(max(_nanoseconds(ended), start))


def fail(span: "Span", kind: str) -> None:
    """Mark a span as failed. `kind` is a code and no message: messages can quote a prompt."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def carried() -> dict[str, str]:
    """The current trace, for another process. Empty without tracing, or outside of a trace."""
    found: dict[str, str] = {}
    if settings.TRACING:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(found)
    return found


def context_of(carrying: Carried) -> "Context":
    """OpenTelemetry's context of a carried trace; an empty one if none is carried, or none that is valid."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carrying, Context())


def ids_for_logs() -> dict[str, str]:
    """The IDs of the current span, as log lines name them. Empty without tracing, or outside of a trace."""
    if not settings.TRACING:
        return {}
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    found = get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    return {"trace_id": format_trace_id(found.trace_id), "span_id": format_span_id(found.span_id)}


@contextmanager
def _span(
    name: str,
    kind: Kind = "INTERNAL",
    attributes: Mapping[str, Any] | None = None,
    continuing: Carried | None = None,
) -> Iterator["Span | None"]:
    from opentelemetry.trace import SpanKind

    from aiinfra.tracing.sdk import tracer

    with tracer().start_as_current_span(
        name,
        context=None if continuing is None else context_of(continuing),
        kind=SpanKind[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000
