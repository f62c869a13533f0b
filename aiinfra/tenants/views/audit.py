"""`/audit/`: who changed what."""

from functools import partial

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from aiinfra.keyset import RowPage, page_links, page_or_first, row_page
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.audit import audit_events
from aiinfra.tenants.audit_sentences import sentence
from aiinfra.tenants.forms import AuditFilter
from aiinfra.tenants.models import AuditEvent

PAGE_SIZE = 50


@permission_required("audit:read")
@require_GET
def audit_log(request: MemberRequest) -> HttpResponse:
    """A page of events, newest first; only its rows for HTMX."""
    form = AuditFilter(request.GET)
    filters = form.chosen()
    cursor = request.GET.get("cursor", "")
    page = page_or_first(partial(_events, filters), cursor)
    context = {
        "form": form,
        "events": [sentence(event) for event in page.rows],
        "is_filtered": bool(filters),
        **page_links(filters, cursor, page.next_cursor),
    }
    return render(request, "tenants/_audit_events.html" if is_partial(request) else "tenants/audit.html", context)


def _events(filters: dict[str, str], cursor: str) -> RowPage[AuditEvent]:
    return row_page(audit_events(**filters), "at", "id", cursor=cursor, size=PAGE_SIZE)
