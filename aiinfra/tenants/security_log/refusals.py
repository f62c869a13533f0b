"""Records which keys and rights were refused, whichever view refused them."""

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.middleware import GetResponse
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.security_log.events import Event

KEY_ID = re.compile(r"(?i:bearer) aik_([0-9A-Za-z]{8})_")


def record_refusals(get_response: GetResponse) -> GetResponse:
    """Middleware: counts 401 for a credential, and 403 for a caller who is known or not, by URL pattern."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code == 401 and (credential := request.META.get("HTTP_AUTHORIZATION")):
            found = KEY_ID.match(credential)
            repeats.count(Event.KEY_REFUSED, target=f"key:{found[1]}" if found else "not an API key")
        elif response.status_code == 403:
            principal = _caller(request)
            repeats.count(
                Event.PERMISSION_REFUSED,
                actor=principal.actor if principal else _name(request),
                organization=principal.organization_slug if principal else "",
                target=f"{request.method} {_route(request)}",
            )
        return response

    return middleware


def _caller(request: HttpRequest) -> Principal | None:
    return getattr(request, "caller", None) or getattr(request, "principal", None)


def _name(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}" if request.user.is_authenticated else ""


def _route(request: HttpRequest) -> str:
    """The URL's pattern: the path may have a token in it, and anybody can think of any number of paths."""
    return f"/{request.resolver_match.route}" if request.resolver_match else "/"
