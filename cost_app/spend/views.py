"""The pages of spend."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods
from django.views.decorators.vary import vary_on_headers

from aiinfra.chart_views import ChartPage, chart_views
from aiinfra.csv_stream import csv_response
from aiinfra.edit_forms import one_edit_at_a_time
from aiinfra.money import dollars
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.policy import change_policy, policy_of
from cost_app.spend.figures import CHARTS
from cost_app.spend.filters import filter_choices
from cost_app.spend.forms import PolicyForm
from cost_app.spend.ranges import GROUPS, RANGES, SpendView
from cost_app.spend.screens import Spend, spend
from cost_app.spend.series import Totals
from cost_app.spend.summary import summary

CSV_COLUMNS = [
    "period_start",
    "group",
    "cost_usd",
    "requests",
    "failed",
    "cache_hits",
    "saved_usd",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
]


@permission_required("cost:read")
@require_GET
@vary_on_headers("HX-Request")
def costs(request: MemberRequest) -> HttpResponse:
    """The range in tiles, spend as charts, and what it went to, and the month; for HTMX all but the frame."""
    view = SpendView.of(request.GET)
    shown = spend(request.principal.organization_id, view)
    context = {
        "view": view,
        "spend": shown,
        "month": None if view.only else summary(request.principal.organization_id),
        "filters": filter_choices(request.principal.organization_id, shown),
        "ranges": RANGES,
        "groups": GROUPS,
        "can_change": request.principal.can("budget:write"),
    }
    template = "cost/spend/_costs.html" if is_partial(request) else "cost/spend/costs.html"
    return render(request, template, context)


def _chart(request: MemberRequest, name: str) -> ChartPage:
    if name not in CHARTS:
        raise Http404
    view = SpendView.of(request.GET)
    draw = partial(CHARTS[name], request.principal.organization_id, view)
    return ChartPage(name.capitalize(), draw, f"{reverse('costs')}?{view.query}", "Costs")


figure, figure_table = chart_views("cost:read", _chart)


@permission_required("cost:read")
@require_GET
def table_csv(request: MemberRequest) -> StreamingHttpResponse:
    """The page's data as a file."""
    view = SpendView.of(request.GET)
    shown = spend(request.principal.organization_id, view)
    name = f"spend-{view.range}-by-{view.by}.csv"
    rows = _csv_rows(shown)  # now, because the organization's time zone is no longer set while the response is sent
    return csv_response(request.principal.organization_id, name, CSV_COLUMNS, lambda: iter(rows))


@permission_required("budget:write")
@require_http_methods(["GET", "POST"])
@one_edit_at_a_time
def settings(request: MemberRequest) -> HttpResponse:
    """The organization's spend policy."""
    organization_id = request.principal.organization_id
    form = PolicyForm(request.POST or None, instance=policy_of(organization_id))
    if request.method == "POST" and form.is_valid():
        change_policy(organization_id=organization_id, changes=form.changes(), actor=request.principal.actor)
        messages.success(request, "Spend policy saved.")
        return redirect("cost_settings")
    return render(request, "cost/spend/settings.html", {"form": form}, status=422 if form.errors else 200)


def _csv_rows(shown: Spend) -> list[list[object]]:
    rows: list[list[object]] = []
    for each in shown.metrics:
        start = timezone.localtime(each.starts_at).isoformat()
        rows += [
            [start, group.name, *_amounts(each.groups[group.value])]
            for group in shown.groups
            if group.value in each.groups
        ]
    return rows


def _amounts(totals: Totals) -> list[Any]:
    return [
        dollars(totals.nano),
        totals.calls,
        totals.errors,
        totals.cache_hits,
        dollars(totals.saved_nano),
        totals.input_tokens,
        totals.cache_read_tokens,
        totals.cache_write_tokens,
        totals.cache_write_1h_tokens,
        totals.output_tokens,
    ]
