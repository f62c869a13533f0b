"""What the views of pages share: which part HTMX wants, and saying that something is done."""

from django.contrib import messages
from django.http import HttpResponse
from django_htmx.http import trigger_client_event

from aiinfra.tenants.access import MemberRequest


def is_partial(request: MemberRequest) -> bool:
    """Whether HTMX asks for a part of the page; when it restores its history it needs the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def tell(request: MemberRequest, response: HttpResponse, level: str, text: str) -> HttpResponse:
    """Say it in a toast: at once with HTMX, else on the page that comes next."""
    if request.htmx:
        return trigger_client_event(response, "toast", {"level": level, "text": text})
    messages.add_message(request, getattr(messages, level.upper()), text)
    return response
