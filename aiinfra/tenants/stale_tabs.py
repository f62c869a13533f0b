"""Rejects changes from a tab that shows an organization the user has switched away from."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from aiinfra.idempotent_forms import is_form
from aiinfra.middleware import GetResponse
from aiinfra.own_urls import is_own_url
from aiinfra.templatetags.formats import full_stop
from aiinfra.templatetags.once import ORGANIZATION_FIELD
from aiinfra.tenants.nearest_page import nearest_page

HEADER = "X-Organization"
"""Names the organization of the page from which a script sends a request."""
OF_NO_ORGANIZATION = {"switch_organization", "logout"}


class StaleTabs:
    """Middleware: a change sent from a page of another organization is rejected, and the user is redirected to the
    nearest page of the session's organization. Requests that name no organization pass.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """None lets the view run. Runs after the login and CSRF checks."""
        principal = getattr(request, "principal", None)
        shown = request.headers.get(HEADER) or (request.POST.get(ORGANIZATION_FIELD) if is_form(request, view) else "")
        match = request.resolver_match
        if not principal or not shown or shown == principal.organization_slug:
            return None
        if match and match.url_name in OF_NO_ORGANIZATION:
            return None
        if request.method == "POST":
            name = request.membership.organization  # type: ignore[attr-defined]
            messages.error(request, f"Nothing was saved: in another tab, you switched to {full_stop(name)}")
        page = nearest_page(_page_of(request), principal, request.user)
        return HttpResponse(status=409, headers={"HX-Redirect": page}) if HEADER in request.headers else redirect(page)


def _page_of(request: HttpRequest) -> str:
    """The path of the page that sent the request; empty if it is not one of ours."""
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    return urlsplit(address).path if is_own_url(request, address) else ""
