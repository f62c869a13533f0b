"""`/providers/`: how the providers perform, for members of an organization."""

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_GET
from django.views.decorators.vary import vary_on_headers

from aiinfra.monitoring.providers.figures import latency_chart
from aiinfra.monitoring.providers.screens import providers
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, permission_required


@permission_required("queue:read")
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
@conditional_page
def provider_list(request: MemberRequest) -> HttpResponse:
    """Every model with its latency, errors, circuit and limit; without the chart for HTMX."""
    template = "monitoring/_providers.html" if is_partial(request) else "monitoring/providers.html"
    return render(request, template, {"providers": providers(), "is_staff": request.user.is_staff})


@permission_required("queue:read")
@require_GET
@cache_control(private=True, no_cache=True)
@conditional_page
def latency_figure(request: MemberRequest) -> HttpResponse:  # noqa: ARG001 - a view takes the request
    """The chart, for the page's script."""
    return JsonResponse(latency_chart().figure)


@permission_required("queue:read")
@require_GET
@vary_on_headers("HX-Request")
def latency_table(request: MemberRequest) -> HttpResponse:
    """The same figures as a table."""
    template = "queue/_figure_table.html" if is_partial(request) else "monitoring/latency_table.html"
    return render(request, template, {"table": latency_chart().table, "name": "Latency"})
