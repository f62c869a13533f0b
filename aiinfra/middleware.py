"""Middleware for every request: request ID, body limits, cache headers, and browser policies."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from aiinfra.bodies import BODY_BYTES_MAX, largest_body
from aiinfra.error_responses import OPENAI_PREFIX, error_response
from aiinfra.failures import ApiError, is_for_programs
from aiinfra.logs import request_id_var
from aiinfra.proxies import is_trusted_proxy

GetResponse = Callable[[HttpRequest], HttpResponseBase]

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# Plotly sizes elements with style attributes and adds one empty <style> that it fills through the CSSOM. The hash is
# that of the empty text, so no style element with content is allowed; not even the one for Plotly's maps, which we do
# not draw.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-elem 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
        "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)

# Pages use passkeys and write to the clipboard. All other browser features are denied.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "screen-wake-lock",
        "serial",
        "usb",
    )
)

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT")


def trusted_proxies(get_response: GetResponse) -> GetResponse:
    """Middleware: drop forwarding headers from clients that are not trusted proxies."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not is_trusted_proxy(str(request.META.get("REMOTE_ADDR", ""))):
            for name in FORWARDED:
                request.META.pop(name, None)
        return get_response(request)

    return middleware


def bounded_body(get_response: GetResponse) -> GetResponse:
    """Middleware: 413 for a body over the limit of its URL, before anything reads it.

    The web server enforces the same limits before it buffers a body. This enforces them behind other servers too.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        limit = BODY_BYTES_MAX
        size = _body_size(request)
        if size > limit and (request.user.is_authenticated or is_for_programs(request)):
            # Endpoints authenticate the caller before they read the body.
            limit = largest_body(request.path_info)
        return get_response(request) if size <= limit else _too_large(request, limit)

    return middleware


def private_responses(get_response: GetResponse) -> GetResponse:
    """Middleware: keep browsers and proxies from caching responses to signed-in users and API clients."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if "Cache-Control" not in response.headers and (is_for_programs(request) or request.user.is_authenticated):
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return middleware


def _body_size(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def _too_large(request: HttpRequest, limit: int) -> HttpResponse:
    message = f"The body is larger than {limit} bytes."
    if is_for_programs(request):
        return error_response(request, ApiError(413, "too_large", message))
    return HttpResponse(f"{message}\n", status=413, content_type="text/plain; charset=utf-8")


def request_id(get_response: GetResponse) -> GetResponse:
    """Middleware: `request.request_id` from a valid X-Request-Id, otherwise a new one; logged and returned to the
    caller.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        offered = request.headers.get("X-Request-Id", "")
        identity = offered if SANE_REQUEST_ID.fullmatch(offered) else secrets.token_hex(16)
        request.request_id = identity  # type: ignore[attr-defined]
        token = request_id_var.set(identity)
        try:
            response = get_response(request)
        finally:
            request_id_var.reset(token)
        response["X-Request-Id"] = identity
        if request.path.startswith(OPENAI_PREFIX):
            response["Request-Id"] = identity  # the name that Anthropic's SDKs read
        return response

    return middleware


def head_of_pages(get_response: GetResponse) -> GetResponse:
    """Middleware: a HEAD request to a page runs as GET; the web server drops the body.

    API endpoints handle HEAD themselves, because some of them stream indefinitely.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method != "HEAD" or is_for_programs(request):
            return get_response(request)
        request.method = "GET"
        try:
            return get_response(request)
        finally:
            request.method = "HEAD"

    return middleware


def browser_policies(get_response: GetResponse) -> GetResponse:
    """Middleware: set the Content Security Policy and the Permissions Policy."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response

    return middleware


class CompressPages(GZipMiddleware):
    """Compresses pages and figures, but not the API or streams: events and files must be sent immediately.

    To mitigate BREACH, which guesses a secret from the size of a page that echoes the attacker's input, each response
    gets up to 100 random bytes, and Django masks the CSRF token differently each time.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Skip streams and API responses."""
        if response.streaming or is_for_programs(request):
            return response
        return super().process_response(request, response)
