"""Error responses: JSON in the shape that the URL's clients expect, or a page in the browser."""

import sys
from typing import Any

import pydantic_core
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views import defaults

from aiinfra import vendor_errors
from aiinfra.failures import (
    AWAY_RETRY_S,
    DATABASE_AWAY,
    ApiError,
    away_cause,
    failure_of,
    is_for_programs,
    printable_path,
)

ANTHROPIC_PREFIX = "/v1/messages"
OPENAI_PREFIX = "/v1/"
VERSION = "anthropic-version"
"""A header that only Anthropic's clients send, also at URLs that both vendors have."""


def error_response(request: HttpRequest, error: ApiError, *, path: str = "") -> HttpResponse:
    """The error in Anthropic's or OpenAI's shape under `/v1`, otherwise in the API's own.

    `path` is the endpoint whose error shape to use, if it differs from the request's URL.
    """
    path = path or request.path
    if path.startswith(OPENAI_PREFIX) and VERSION in request.headers:
        path = ANTHROPIC_PREFIX
    body = body_for(path, error, getattr(request, "request_id", None))
    status = vendor_errors.anthropic_status(error) if path.startswith(ANTHROPIC_PREFIX) else error.status
    retry = vendor_errors.retry_headers(error) if path.startswith(OPENAI_PREFIX) else {}
    return _json(body, status, {**retry, **error.headers})


def body_for(path: str, error: ApiError, request_id: str | None) -> dict[str, Any]:
    """The error in the shape that the clients of a URL path expect."""
    if path.startswith(ANTHROPIC_PREFIX):
        return vendor_errors.anthropic_body(error, request_id)
    if path.startswith(OPENAI_PREFIX):
        return vendor_errors.openai_body(error)
    return _own_body(error, request_id)


def handle_400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For requests that Django rejects before a view sees them."""
    if is_for_programs(request):
        return error_response(request, ApiError(400, "invalid_request", "The request is malformed."))
    return defaults.bad_request(request, exception)


def handle_500(request: HttpRequest) -> HttpResponse:
    """For a bug or an unreachable database, outside of API endpoints."""
    problem = sys.exception()
    if is_for_programs(request):
        return error_response(request, failure_of(problem))
    if isinstance(problem, DATABASE_AWAY):
        page = loader.render_to_string("503.html", {"cause": away_cause()})
        return HttpResponse(page, status=503, headers={"Retry-After": AWAY_RETRY_S})
    page = loader.render_to_string("500.html", {"request_id": getattr(request, "request_id", "")})
    return HttpResponse(page, status=500)


def _own_body(error: ApiError, request_id: str | None) -> dict[str, Any]:
    param = printable_path(error.param) if error.param else None
    return {"error": {"type": error.kind, "message": error.message, "param": param, "requestId": request_id}}


def _json(body: dict[str, Any], status: int, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(pydantic_core.to_json(body), status=status, content_type="application/json", headers=headers)
