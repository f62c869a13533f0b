"""Makes forms idempotent: one that is submitted twice, by a double click or a reload, acts once.

The form contains the key (see `aiinfra.templatetags.once`); key, URL and fields together identify the submission, so a
form that stays on the page can be used again for something else. Only redirect targets are stored, never pages: a
secret that is shown once is in no table.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django_htmx.http import trigger_client_event

from aiinfra.idempotency import Answer, InProgressError, claim_key, digest_of, release_key, store_answer
from aiinfra.middleware import GetResponse
from aiinfra.own_urls import is_own_url
from aiinfra.tenants.models import OnceAnswer
from aiinfra.tenants.scope import owner_scope

FIELD = "form_key"
FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
NOT_OF_THE_FORM = {"csrfmiddlewaretoken"}
ALREADY_SENT = "You already sent this form. It was not sent again."
NOTHING_TO_SHOW = f"{ALREADY_SENT} A secret or link is shown only once: if you missed it, create a new one."
UNDER_WAY = "This form is already being processed. Reload the page in a moment."


class IdempotentForms:
    """Middleware: lets the first of several identical form submissions through, and answers the others."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        row: OnceAnswer | None = getattr(request, "once_answer", None)
        if row is not None:
            with owner_scope(row.organization_id):
                _remember(row, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Answer a repeat; None lets the view run. Runs after the login and CSRF checks."""
        if not is_form(request, view) or FIELD not in request.POST:
            return None
        principal = getattr(request, "principal", None)
        owner_id = principal.organization_id if principal else None
        with owner_scope(owner_id):
            try:
                row, is_new = claim_key(owner_id, _name_of(request), "")
            except InProgressError:
                return _repeated(request, None)
        if not is_new:
            return _repeated(request, Answer(row.status, row.body) if row.status else None)
        request.once_answer = row  # type: ignore[attr-defined]
        return None


def is_form(request: HttpRequest, view: Any) -> bool:
    """Whether a logged-in user submitted a form, as opposed to a program that sends JSON."""
    return (
        request.method == "POST"
        and not getattr(view, "csrf_exempt", False)
        and request.content_type in FORM_TYPES
        and request.user.is_authenticated
    )


def _name_of(request: HttpRequest) -> str:
    fields = sorted((name, values) for name, values in request.POST.lists() if name not in NOT_OF_THE_FORM)
    files = sorted((name, each.name, each.size) for name, each in request.FILES.items())  # type: ignore[union-attr]
    return digest_of("form", request.user.pk, request.path, fields, files)


def _remember(row: OnceAnswer, response: HttpResponseBase) -> None:
    """A rejected form may be submitted again unchanged; a successful one may not."""
    if response.status_code >= 400:
        release_key(row)
    else:
        store_answer(row, Answer(response.status_code, response.headers.get("Location", "")))


def _repeated(request: HttpRequest, first: Answer | None) -> HttpResponse:
    """Redirect to where the first one led; otherwise back to the page of the form."""
    level, text = "info", ALREADY_SENT
    if first is None:
        level, text = "warning", UNDER_WAY
    elif not first.body:
        level, text = "warning", NOTHING_TO_SHOW
    if getattr(request, "htmx", False):
        return trigger_client_event(HttpResponse(status=204), "toast", {"level": level, "text": text})
    messages.add_message(request, getattr(messages, level.upper()), text)
    return redirect(first.body if first and first.body else _page_of(request))


def _page_of(request: HttpRequest) -> str:
    page = request.headers.get("Referer", "")
    return page if is_own_url(request, page) else resolve_url("home")
