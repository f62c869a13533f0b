"""Rate limits for pages, counted in each web process: per user, and per IP address without a session.

The API has its own limits (`aiinfra.api_limits`). These are far above what people and open pages send.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from aiinfra.failures import is_for_programs
from aiinfra.middleware import GetResponse
from aiinfra.rate_limits import Rate, take_here
from aiinfra.tenants.caller import client_address, network_of

PROBES = ("/healthz", "/readyz")


def limited_pages(get_response: GetResponse) -> GetResponse:
    """Middleware: respond 429 with Retry-After to clients that request too many pages."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if is_for_programs(request) or request.path in PROBES:
            return get_response(request)
        taken = take_here([_rate_of(request)])
        return _too_many(request, max(1, taken.retry_after_s)) if taken.refused else get_response(request)

    return middleware


def _rate_of(request: HttpRequest) -> Rate:
    if request.user.is_authenticated:
        return Rate(f"pages:person:{request.user.pk}", settings.PAGES_PER_MINUTE_PERSON)
    return Rate(f"pages:address:{network_of(client_address(request))}", settings.PAGES_PER_MINUTE_ADDRESS)


def _too_many(request: HttpRequest, retry_after_s: int) -> HttpResponse:
    problem = f"Too many pages were opened from here. Try again in {retry_after_s} s."
    context = {"title": "Too many requests", "problem": problem}
    page = render(request, "429.html", context, status=429)
    page.headers["Retry-After"] = str(retry_after_s)
    return page
