"""`/finance/invoices/`: providers' usage files compared with the ledger."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh

from aiinfra.bodies import accepts_bodies_up_to
from aiinfra.csv_stream import csv_response
from aiinfra.pages import is_partial
from aiinfra.row_ids import is_row_id
from aiinfra.templatetags.formats import time_text
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.actors import actor_name
from cost_app.finance.forms import InvoiceForm
from cost_app.finance.invoices.files import FileError
from cost_app.finance.invoices.invoice_import import VARIANCE_COLUMNS, causes_of, variance_row, with_totals
from cost_app.finance.invoices.table import BYTES_MAX
from cost_app.finance.invoices.uploads import TooManyUploadsError, upload_file
from cost_app.finance.screens import line_page
from cost_app.models import InvoiceImport, InvoiceLine, InvoiceUpload

IMPORTS_SHOWN = 50
FORM_BYTES = 1024 * 1024
"""For the other fields of the upload form."""


@permission_required("finance:read")
@require_GET
def invoices(request: MemberRequest) -> HttpResponse:
    """Show the newest uploads and the upload form."""
    return _list(request, InvoiceForm())


@accepts_bodies_up_to(BYTES_MAX + FORM_BYTES)
@permission_required("finance:write")
@require_POST
def upload(request: MemberRequest) -> HttpResponse:
    """Compare a file with the ledger. Responds 422 with line and column if it is invalid."""
    form = InvoiceForm(request.POST, request.FILES)
    if not form.is_valid():
        return _list(request, form, status=422)
    file = form.cleaned_data["file"]
    try:
        done = upload_file(
            organization_id=request.principal.organization_id,
            provider=form.cleaned_data["provider"],
            name=file.name,
            content=file.read(),
            actor=request.principal.actor,
        )
    except (FileError, TooManyUploadsError) as error:
        form.add_error("file", str(error))
        return _list(request, form, status=422)
    if isinstance(done, InvoiceUpload):
        return redirect("finance_invoice", done.pk)
    if not done.is_new:
        at, by = time_text(done.invoice.uploaded_at), actor_name(done.invoice.uploaded_by)
        messages.info(request, f"This file was already uploaded on {at} by {by}.")
    return redirect("finance_invoice", done.invoice.pk)


@permission_required("finance:read")
@require_GET
def invoice(request: MemberRequest, invoice_id: UUID) -> HttpResponse:
    """Show an upload's totals, causes, and differing lines; with `all=1`, all lines. Before that, its progress."""
    if waiting := InvoiceUpload.objects.defer("content").filter(pk=invoice_id).first():
        template = "cost/finance/_upload.html" if is_partial(request) else "cost/finance/upload.html"
        return render(request, template, {"upload": waiting})
    found = get_object_or_404(with_totals(InvoiceImport.objects.all()), pk=invoice_id)
    if is_partial(request):
        return HttpResponseClientRefresh()
    after, every = request.GET.get("after", ""), request.GET.get("all") == "1"
    context = {
        "invoice": found,
        "causes": causes_of(found),
        "every": every,
        "page": line_page(found, after=int(after) if is_row_id(after) else 0, every=every),
    }
    return render(request, "cost/finance/invoice.html", context)


@permission_required("finance:read")
@require_GET
def invoice_file(request: MemberRequest, invoice_id: UUID) -> HttpResponseBase:
    """Download an upload's lines as CSV."""
    found = get_object_or_404(InvoiceImport, pk=invoice_id)
    lines = InvoiceLine.objects.filter(invoice=found).order_by("pk")
    name = f"variance_{found.provider}_{found.first_day}_{found.last_day}.csv"
    return csv_response(
        request.principal.organization_id, name, VARIANCE_COLUMNS, lambda: map(variance_row, lines.iterator())
    )


def _list(request: MemberRequest, form: InvoiceForm, status: int = 200) -> HttpResponse:
    newest = with_totals(InvoiceImport.objects.all()).order_by("-uploaded_at", "-pk")
    context = {
        "form": form,
        "uploads": InvoiceUpload.objects.defer("content").order_by("-uploaded_at"),
        "invoices": newest[:IMPORTS_SHOWN],
        "shown_at_most": IMPORTS_SHOWN,
        "can_write": request.principal.can("finance:write"),
    }
    return render(request, "cost/finance/invoices.html", context, status=status)
