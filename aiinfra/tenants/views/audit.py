"""`/audit/`: who changed what."""

from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.audit import audit_events
from aiinfra.tenants.forms import AuditFilter
from aiinfra.tenants.models import AuditEvent

PAGE_SIZE = 50


@permission_required("audit:read")
@require_GET
def audit_log(request: MemberRequest) -> HttpResponse:
    """A page of events, newest first; only its rows for HTMX."""
    form = AuditFilter(request.GET)
    filters = form.chosen()
    found = list(audit_events(**filters, before=parse_cursor(request.GET.get("cursor", "")))[: PAGE_SIZE + 1])
    events = found[:PAGE_SIZE]
    context = {
        "form": form,
        "events": events,
        "is_filtered": bool(filters),
        "older": urlencode({**filters, "cursor": make_cursor(events[-1])}) if len(found) > PAGE_SIZE else "",
    }
    return render(request, "tenants/_audit_events.html" if is_partial(request) else "tenants/audit.html", context)


def make_cursor(event: AuditEvent) -> str:
    """The cursor of the page that follows this event."""
    return f"{event.at.isoformat()}~{event.pk}"


def parse_cursor(text: str) -> tuple[datetime, UUID] | None:
    """The position that a cursor encodes; None, the beginning, for an invalid cursor."""
    at_text, _, id_text = text.partition("~")
    try:
        at, identity = parse_datetime(at_text), UUID(id_text)
    except ValueError:
        return None
    return (at, identity) if at and at.tzinfo else None
