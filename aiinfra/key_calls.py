"""API key calls bypass the middleware that only sessions and pages need.

| skipped | why it isn't needed |
|---|---|
| sessions, authentication, `check_session` | without a cookie there is no session; the endpoint checks the key |
| CSRF | endpoints are exempt, and check a session's token themselves |
| `CommonMiddleware` | the host check and `Content-Length` are here; URLs of endpoints get no slash |
| `AccountMiddleware`, `TooManyAttempts` | handle exceptions that endpoints never raise |
| `LoginRequired`, `session_principal` | endpoints authenticate callers and set the scope of the key's organization |
| messages, HTMX, `IdempotentForms`, `RequireSecondFactor`, `WorkerPages` | for pages and signed-in people only |

`tests/api/test_key_calls.py` checks that headers and errors are the same either way.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.urls import Resolver404, ResolverMatch, resolve

from aiinfra.api import Endpoint
from aiinfra.failures import is_for_programs
from aiinfra.middleware import GetResponse, bounded_body, private_responses
from aiinfra.tenants.caller import called_from, client_address
from aiinfra.tenants.security_log.answers import record_answers

KEPT_PATHS = 256
"""Paths whose endpoints are remembered. The paths without an ID are far fewer."""


def bypass_session_middleware(get_response: GetResponse) -> GetResponse:
    """Middleware: responds to calls that have an `Authorization` header and no cookie; passes on all others."""
    framed = cast(GetResponse, XFrameOptionsMiddleware(_endpoint))
    recorded = _with_address(_safely(record_answers(_safely(framed))))
    respond = _safely(bounded_body(_safely(private_responses(recorded))))

    def middleware(request: HttpRequest) -> HttpResponseBase:
        match = _match_of(request)
        if match is None:
            return get_response(request)
        request.get_host()  # raises DisallowedHost
        request.resolver_match = match
        request.user = AnonymousUser()
        response = respond(request)
        response.headers.setdefault("Vary", "Cookie")  # with a cookie, the answer could be another
        if not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))  # type: ignore[attr-defined]
        return response

    return middleware


def _match_of(request: HttpRequest) -> ResolverMatch | None:
    """The endpoint of an API key call; None if the request needs the full middleware."""
    is_with_key = request.META.get("HTTP_AUTHORIZATION") and not request.META.get("HTTP_COOKIE")
    if not is_with_key or not is_for_programs(request):
        return None
    try:
        match = _resolved(request.path_info)
    except Resolver404:
        return None
    return match if isinstance(match.func, Endpoint) else None


_resolved = lru_cache(KEPT_PATHS)(resolve)  # Django compares a path with each of our URLs: 200 Python calls


def _endpoint(request: HttpRequest) -> HttpResponseBase:
    match = request.resolver_match
    assert match is not None  # noqa: S101 - for the type checker: the middleware has set it
    endpoint: Callable[..., HttpResponseBase] = match.func
    return endpoint(request, *match.args, **match.kwargs)


def _with_address(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponseBase:
        with called_from(client_address(request)):
            return get_response(request)

    return middleware


def _safely(get_response: GetResponse) -> GetResponse:
    """Convert exceptions to responses, as Django does around each middleware."""
    return cast(GetResponse, convert_exception_to_response(get_response))
