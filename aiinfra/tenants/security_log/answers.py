"""Records which keys and rights were refused and which files were sent, whichever view it was."""

import re
from collections.abc import Iterator
from typing import cast

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from aiinfra.middleware import GetResponse
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.current_permissions import while_allowed
from aiinfra.tenants.security_log import recorder, repeats
from aiinfra.tenants.security_log.events import Event

KEY_ID = re.compile(r"(?i:bearer) aik_([0-9A-Za-z]{8})_")

COUNTED = {403: Event.PERMISSION_REFUSED, 429: Event.LIMIT_REACHED}


def record_answers(get_response: GetResponse) -> GetResponse:
    """Middleware: counts 401 for a credential, 403 and 429 by URL pattern, and records each download."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code == 401 and (credential := request.META.get("HTTP_AUTHORIZATION")):
            found = KEY_ID.match(credential)
            repeats.count(Event.KEY_REFUSED, target=f"key:{found[1]}" if found else "not an API key")
        elif event := COUNTED.get(response.status_code):
            actor, organization = _who(request)
            target = f"{request.method} {_route(request)}"
            repeats.count(event, actor=actor, organization=organization, target=target)
        elif response.status_code == 200 and response.headers.get("Content-Disposition", "").startswith("attachment"):
            _note_download(request)
            _watch(request, response)
        return response

    return middleware


def _note_download(request: HttpRequest) -> None:
    actor, organization = _who(request)
    query = {name: request.GET[name] for name in sorted(request.GET)}
    recorder.record(Event.EXPORTED, actor=actor, organization=organization, target=_route(request), details=query)


def _watch(request: HttpRequest, response: HttpResponseBase) -> None:
    """Stop a file that is still being sent when its reader loses their rights."""
    principal = _caller(request)
    if principal is not None and isinstance(response, StreamingHttpResponse) and not response.is_async:
        chunks = cast(Iterator[bytes], response.streaming_content)
        response.streaming_content = while_allowed(request, principal, chunks)


def _who(request: HttpRequest) -> tuple[str, str]:
    """Actor and organization."""
    principal = _caller(request)
    return (principal.actor, principal.organization_slug) if principal else (_name(request), "")


def _caller(request: HttpRequest) -> Principal | None:
    return getattr(request, "caller", None) or getattr(request, "principal", None)


def _name(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}" if request.user.is_authenticated else ""


def _route(request: HttpRequest) -> str:
    """The URL's pattern: the path may have a token in it, and anybody can think of any number of paths."""
    return f"/{request.resolver_match.route}" if request.resolver_match else "/"
