"""The server span of a request."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.logs import request_id_var, without_tokens
from aiinfra.middleware import GetResponse
from aiinfra.tracing.spans import CARRIED, Carried, context_of, fail

if TYPE_CHECKING:
    from opentelemetry.trace import Span

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNTRACED = ("/metrics", "/api/ai/events")
"""Scrapes, and streams that stay open as long as a page. Probes get their response before this middleware."""
SERVER_ERROR = 500


def traced(get_response: GetResponse) -> GetResponse:
    """Middleware: a server span for each request, until its response was sent. Not used while tracing is off."""
    if not settings.TRACING:
        raise MiddlewareNotUsed
    from opentelemetry.trace import use_span

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(UNTRACED):
            return get_response(request)
        span = _started(request)
        with use_span(span, record_exception=False, set_status_on_exception=False):
            response = get_response(request)
        _describe(span, request, response)
        if response.streaming:
            response._resource_closers.append(span.end)  # type: ignore[attr-defined]  # Django runs them once it is sent
        else:
            span.end()
        return response

    return middleware


def _started(request: HttpRequest) -> "Span":
    from opentelemetry.trace import SpanKind

    from aiinfra.tracing.sdk import tracer

    attributes = {
        "http.request.method": request.method if request.method in METHODS else "_OTHER",
        "url.scheme": request.scheme or "",
        "url.path": without_tokens(request.path),
        "aiinfra.http.request_id": request_id_var.get(),
    }
    parent = context_of(_sent_with(request))
    return tracer().start_span(_name(request), parent, kind=SpanKind.SERVER, attributes=attributes)


def _sent_with(request: HttpRequest) -> Carried:
    if not settings.ACCEPT_TRACEPARENT:
        return {}
    return {name: request.headers[name] for name in CARRIED if name in request.headers}


def _name(request: HttpRequest) -> str:
    return str(request.method) if request.method in METHODS else "HTTP"


def _describe(span: "Span", request: HttpRequest, response: HttpResponseBase) -> None:
    if request.resolver_match:
        route = f"/{request.resolver_match.route}"
        span.update_name(f"{_name(request)} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", response.status_code)
    if response.status_code >= SERVER_ERROR:
        fail(span, str(response.status_code))
