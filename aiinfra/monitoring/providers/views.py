"""`/providers/`: how the providers perform, for members of an organization."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from aiinfra.chart_views import ChartPage, chart_views
from aiinfra.monitoring.providers.figures import latency_chart
from aiinfra.monitoring.providers.screens import providers
from aiinfra.pages import is_partial, kept_by_open_pages
from aiinfra.tenants.access import MemberRequest, permission_required


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
@kept_by_open_pages
def provider_list(request: MemberRequest) -> HttpResponse:
    """Every model with its latency, errors, circuit and limit; without the chart for HTMX."""
    template = "monitoring/_providers.html" if is_partial(request) else "monitoring/providers.html"
    return render(request, template, {"providers": providers()})


def _latency(_request: MemberRequest) -> ChartPage:
    return ChartPage("Latency by hour, 95th percentile", latency_chart, reverse("providers"), "Providers")


latency_figure, latency_table = chart_views("queue:read", _latency)
