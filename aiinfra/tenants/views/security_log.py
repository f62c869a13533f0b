"""`/installation/security-log/`: the security log, for staff who may read it."""

from collections.abc import Iterator
from functools import partial

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from aiinfra.keyset import RowPage, page_links, page_or_first, row_page
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, staff_required
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.forms import SecurityFilter
from aiinfra.tenants.security_log import export
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.staff import StaffRight

PAGE_SIZE = 50


@staff_required(StaffRight.READ_SECURITY_LOG)
@never_cache
@require_GET
def security_log(request: MemberRequest) -> HttpResponse:
    """A page of events, newest first; only its rows for HTMX. Opening the log is an event, turning pages is not."""
    form = SecurityFilter(request.GET)
    cursor = request.GET.get("cursor", "")
    if not cursor:
        record(Event.LOG_READ, actor=user_actor(request.user), details=form.shown())
    page = page_or_first(partial(_events, form.chosen()), cursor)
    context = {
        "form": form,
        "events": page.rows,
        "is_filtered": bool(form.chosen()),
        **page_links(form.shown(), cursor, page.next_cursor),
    }
    template = "tenants/_security_events.html" if is_partial(request) else "tenants/security_log.html"
    return render(request, template, context)


@staff_required(StaffRight.READ_SECURITY_LOG)
@never_cache
@require_GET
def security_log_export(request: MemberRequest) -> StreamingHttpResponse:
    """The events that match the filters as JSON lines, oldest first."""
    lines = export.lines(actor=user_actor(request.user), filters=SecurityFilter(request.GET).chosen())
    response = StreamingHttpResponse(_bytes(lines), content_type="application/x-ndjson")
    response["Content-Disposition"] = 'attachment; filename="security-log.jsonl"'
    response["Cache-Control"] = "private, no-store"
    return response


def _bytes(lines: Iterator[str]) -> Iterator[bytes]:
    for line in lines:
        yield f"{line}\n".encode()


def _events(filters: export.Filters, cursor: str) -> RowPage[SecurityEvent]:
    return row_page(export.events(filters), "sequence", cursor=cursor, size=PAGE_SIZE)
