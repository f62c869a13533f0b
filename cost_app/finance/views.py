"""`/finance/`: months, their statements, and exports."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.finance.exports import ledger_csv
from cost_app.finance.focus import focus_csv
from cost_app.finance.forms import FOCUS, ExportForm
from cost_app.finance.month_close import CloseState, NotClosableError, close_month, close_states
from cost_app.finance.months import Month, calendar_of, find_month
from cost_app.finance.scheduled_exports import deliveries
from cost_app.finance.screens import month_rows, signed_figures, snapshot_sections
from cost_app.finance.statement import statement_csv, statement_of


@permission_required("finance:read")
@require_GET
def overview(request: MemberRequest) -> HttpResponse:
    """List the months with their statements."""
    return render(request, "cost/finance/months.html", {"rows": month_rows(request.principal.organization_id)})


@permission_required("finance:read")
@require_GET
def statement(request: MemberRequest, slug: str) -> HttpResponse:
    """Show or print a month's statement."""
    month = _month(request, slug)
    return _statement(request, month)


@permission_required("finance:read")
@require_GET
def statement_file(request: MemberRequest, slug: str) -> HttpResponseBase:
    """Download the complete statement as CSV."""
    return statement_csv(request.membership.organization, _month(request, slug))


@permission_required("finance:write")
@require_POST
def close(request: MemberRequest, slug: str) -> HttpResponse:
    """Close a month."""
    month = _month(request, slug)
    try:
        done = close_month(organization=request.membership.organization, month=month, actor=request.principal.actor)
    except NotClosableError as error:
        return _statement(request, month, problem=str(error), status=422)
    if done.is_new:
        messages.success(request, f"{month} closed.")
    else:
        messages.info(request, f"{month} was already closed by {done.close.closed_by}.")
    return redirect("finance_closed", month.slug)


@permission_required("finance:read")
@require_GET
def closed(request: MemberRequest, slug: str) -> HttpResponse:
    """Show a closed month's signed figures and whether the signature is valid."""
    state = _closed(request, slug)
    context = {
        "state": state,
        "month": state.month,
        "figures": signed_figures(state.close),
        "sections": snapshot_sections(state.close.snapshot),
    }
    return render(request, "cost/finance/closed.html", context)


@permission_required("finance:read")
@require_GET
def closed_file(request: MemberRequest, slug: str) -> HttpResponse:
    """Download the signed figures as JSON."""
    state = _closed(request, slug)
    said = {
        "organization": request.membership.organization.slug,
        "firstDay": state.close.first_day.isoformat(),
        "lastDay": state.close.last_day.isoformat(),
        "startsAt": state.month.starts_at.isoformat(),
        "endsAt": state.month.ends_at.isoformat(),
        "timeZone": state.month.time_zone,
        "closedBy": state.close.closed_by,
        "closedAt": state.close.closed_at.isoformat(),
        "snapshot": state.close.snapshot,
        "signature": state.close.signature,
    }
    response = HttpResponse(json.dumps(said, sort_keys=True, indent=2), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="closed_{said["organization"]}_{said["firstDay"]}.json"'
    return response


@permission_required("finance:read")
@require_GET
def exports(request: MemberRequest) -> HttpResponse:
    """Select a file and its days."""
    today = calendar_of(request.principal.organization_id).day_of(timezone.now())
    form = ExportForm(initial={"first": today.replace(day=1), "last": today})
    return _exports(request, form)


@permission_required("finance:read")
@require_GET
def export_file(request: MemberRequest) -> HttpResponseBase:
    """Stream the file. Responds 422 with the form if the range is invalid."""
    form = ExportForm(request.GET)
    if not form.is_valid():
        return _exports(request, form, status=422)
    chosen: dict[str, Any] = form.cleaned_data
    make = focus_csv if chosen["kind"] == FOCUS else ledger_csv
    return make(request.membership.organization, chosen["first"], chosen["last"])


def _exports(request: MemberRequest, form: ExportForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "deliveries": list(deliveries()), "is_scheduled": bool(settings.EXPORT_DIRECTORY)}
    return render(request, "cost/finance/exports.html", context, status=status)


def _statement(request: MemberRequest, month: Month, *, problem: str = "", status: int = 200) -> HttpResponse:
    state = close_states(request.principal.organization_id).get(month.slug)
    context = {
        "statement": statement_of(request.principal.organization_id, month),
        "closed": state,
        "problem": problem,
        "can_close": request.principal.can("finance:write") and month.is_over and state is None,
    }
    return render(request, "cost/finance/statement.html", context, status=status)


def _month(request: MemberRequest, slug: str) -> Month:
    month = find_month(request.principal.organization_id, slug)
    if month is None:
        raise Http404
    return month


def _closed(request: MemberRequest, slug: str) -> CloseState:
    state = close_states(request.principal.organization_id).get(slug)
    if state is None:
        raise Http404
    return state
