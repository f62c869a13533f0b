"""Handles requests without a session, or with an expired one."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from aiinfra.own_urls import is_own_url

SENT_TOO_LATE = "Your session has ended. Your last change was not saved: log in, then make it again."


class LoginRequired(LoginRequiredMiddleware):
    """Sends people without a session to the login page, also from an open page whose session has expired.

    A submitted form is lost: users see a message, and return to its page, since many forms' URLs accept only POST.

    A script that followed a redirect would insert the login page into the open page. It gets 401 with the login page's
    URL in `HX-Redirect` instead. After login, people return to the page, not to the part that the script requested.
    """

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Any
    ) -> HttpResponseBase:
        """Respond 401 to scripts, and redirect other requests."""
        if not _is_by_script(request) and request.method != "POST":
            return super().handle_no_permission(request, view_func)
        log_in = redirect_to_login(_page_of(request), self.get_login_url(view_func), REDIRECT_FIELD_NAME)
        if request.method == "POST":
            messages.error(request, SENT_TOO_LATE)
        if not _is_by_script(request):
            return log_in
        return HttpResponse(status=401, headers={"HX-Redirect": log_in.url})


def _is_by_script(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers or request.headers.get("Accept") == "application/json"


def _page_of(request: HttpRequest) -> str:
    """The path and query of the page that sent the request. The home page if it is not one of ours."""
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not is_own_url(request, address):
        return resolve_url("home")
    page = urlsplit(address)
    return f"{page.path}?{page.query}" if page.query else page.path
