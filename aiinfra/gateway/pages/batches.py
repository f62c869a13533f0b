"""`/queue/batches/`: the organization's batches."""

from functools import partial
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.batches import files
from aiinfra.batches.models import Batch
from aiinfra.gateway.v1.batches import cancel_batch
from aiinfra.gateway.v1.files import content_response
from aiinfra.keyset import page_links, page_or_first, row_page
from aiinfra.pages import is_partial, with_toast
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.security_log.reading import note_reading

PAGE_SIZE = 25
FILES = {"input": "input_id", "output": "output_id", "errors": "error_id"}


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
def batch_list(request: MemberRequest) -> HttpResponse:
    """A page of batches; for HTMX the table alone."""
    return _list(request)


@permission_required("queue:write")
@require_POST
def batch_cancel(request: MemberRequest, batch_id: UUID) -> HttpResponse:
    """Send no further requests of a batch."""
    batch = get_object_or_404(Batch, id=batch_id)
    done = cancel_batch(batch, request.principal.actor)
    level, text = ("success", "Batch cancelled.") if done else ("error", "The batch has already ended.")
    response = _list(request) if request.htmx else redirect("batches")
    return with_toast(request, response, level, text)


@permission_required("content:read")
@require_GET
def batch_file(request: MemberRequest, batch_id: UUID, name: str) -> HttpResponseBase:
    """Download the requests of a batch, its results, or its errors."""
    batch = get_object_or_404(Batch, id=batch_id)
    if name not in FILES:
        raise Http404
    file = get_object_or_404(files.complete(), id=getattr(batch, FILES[name]))
    note_reading(request.principal, f"file {file}")
    return content_response(file)


def _list(request: MemberRequest) -> HttpResponse:
    rows: QuerySet[Batch] = Batch.objects.select_related("api_key")
    cursor = request.GET.get("cursor", "")
    read = partial(row_page, rows, "created_at", "id", size=PAGE_SIZE)
    page = page_or_first(lambda place: read(cursor=place), cursor)
    context = {
        "batches": page.rows,
        "kept": _kept_files(page.rows),
        "has_open": any(batch.finished_at is None for batch in page.rows),
        **page_links({}, cursor, page.next_cursor),
        "can_write": request.principal.can("queue:write"),
        "can_read": request.principal.can("content:read"),
    }
    return render(request, "batches/_batches.html" if is_partial(request) else "batches/batches.html", context)


def _kept_files(batches: list[Batch]) -> set[UUID]:
    """Those of their files that still exist. One query."""
    named = {getattr(batch, column) for batch in batches for column in FILES.values()} - {None}
    return set(files.complete().filter(id__in=named).values_list("id", flat=True))
