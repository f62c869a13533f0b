"""The 404 response. It suggests the right URL to clients with a wrong base URL."""

from collections.abc import Iterator
from functools import cache
from itertools import dropwhile

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, get_resolver, resolve
from django.views import defaults

from aiinfra.api import Endpoint
from aiinfra.error_responses import error_response
from aiinfra.failures import ApiError, is_for_programs, not_found, printable_path
from aiinfra.openapi import find_endpoints

LEGACY = {"/v1/completions": "/v1/chat/completions", "/v1/complete": "/v1/messages"}
"""Endpoints that the vendors have replaced, and their replacements."""
VENDORS = "/v1/"
PARTS_MAX = 3
"""Parts of the longest vendor URL after `/v1`."""


def handle_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A page in the browser, JSON for API clients: in the error shape of the endpoint they probably meant."""
    is_page = "text/html" in request.headers.get("Accept", "")
    if not is_page and (found := _advice(request.path_info)):
        meant, message = found
        return error_response(request, ApiError(404, "not_found", message), path=meant)
    if is_for_programs(request):
        return error_response(request, not_found())
    return defaults.page_not_found(request, exception)


def _advice(path: str) -> tuple[str, str] | None:
    """The URL whose error shape to use, and a message with the available URLs; None without advice."""
    url = printable_path(path)
    for meant in _corrections(path):
        if _is_endpoint(meant):
            return meant, f"Unknown URL: {url}. Did you mean {meant}? Check the client's base URL."
        if meant in LEGACY:
            return LEGACY[meant], f"{meant} is a legacy endpoint that aiinfra doesn't support. Use {LEGACY[meant]}."
    if f"{path}/".startswith(VENDORS):
        return f"{path}/", f"Unknown URL: {url}. aiinfra supports {', '.join(_of_vendors())}."
    return None


@cache
def _of_vendors() -> list[str]:
    """The vendor API endpoints, except those for a single object."""
    found = [url for url, _ in find_endpoints(get_resolver().url_patterns)]
    return [url for url in found if url.startswith(VENDORS) and "<" not in url]


def _corrections(path: str) -> Iterator[str]:
    """Lowercase variants without extra slashes, and with one `/v1`, which only OpenAI's clients expect in their base
    URL. A base URL without it may end with anything else, such as another gateway's prefix.
    """
    parts = [part for part in path.lower().split("/") if part]
    yield "/" + "/".join(parts)
    yield _with_one_v1(parts)
    if parts[:1] != ["v1"]:
        for first in range(max(1, len(parts) - PARTS_MAX), len(parts)):
            yield _with_one_v1(parts[first:])


def _with_one_v1(parts: list[str]) -> str:
    return "/" + "/".join(["v1", *dropwhile(lambda part: part == "v1", parts)])


def _is_endpoint(url: str) -> bool:
    try:
        return isinstance(resolve(url).func, Endpoint)
    except Resolver404:
        return False
