"""`/cache/`: how often the cache answers, how often it is wrong, and what it saves."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.chart_views import ChartPage, chart_views
from aiinfra.failures import WrongStateError
from aiinfra.pages import is_partial, kept_by_open_pages
from aiinfra.tenants.access import MemberRequest, permission_required
from cache_app.learning.proposals import apply_proposal, dismiss_proposal
from cache_app.metrics import screens
from cache_app.metrics.figures import CHARTS, TITLES
from cache_app.metrics.ranges import RANGES, DayRange
from cache_app.models import ThresholdProposal
from cache_app.pages import rights


@permission_required("cache:read")
@require_GET
@vary_on_headers("HX-Request")
@kept_by_open_pages
def cache(request: MemberRequest) -> HttpResponse:
    """The figures of a range. For HTMX the parts that change: notices and tiles."""
    view, organization_id = DayRange.of(request.GET), request.principal.organization_id
    overview = screens.overview(organization_id, view)
    context: dict[str, Any] = {
        "view": view,
        "overview": overview,
        "api_url": request.build_absolute_uri("/api/ai/chat"),
        **rights(request),
    }
    if is_partial(request):
        return render(request, "cache/_live.html", context)
    whole = {
        "ranges": RANGES,
        "proposal": screens.open_proposal(),
        "what_if": screens.other_thresholds(organization_id, view, overview.threshold),
    }
    return render(request, "cache/cache.html", {**context, **whole})


def _chart(request: MemberRequest, name: str) -> ChartPage:
    if name not in CHARTS:
        raise Http404
    view = DayRange.of(request.GET)
    draw = partial(CHARTS[name], request.principal.organization_id, view)
    return ChartPage(f"{TITLES[name]}, {view.title.lower()}", draw, f"{reverse('cache')}?{view.query}", "Cache")


figure, figure_table = chart_views("cache:read", _chart)


@permission_required("cache:manage")
@require_POST
def proposal_apply(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Set the organization's threshold to the proposed one."""
    return _decide(request, proposal_id, apply_proposal, "Threshold set to {threshold:.2f}.")


@permission_required("cache:manage")
@require_POST
def proposal_dismiss(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Dismiss a proposed threshold."""
    done = "Dismissed. A threshold of {threshold:.2f} is not proposed again for 30 days."
    return _decide(request, proposal_id, dismiss_proposal, done)


def _decide(
    request: MemberRequest, proposal_id: int, decide: Callable[..., ThresholdProposal], done: str
) -> HttpResponse:
    organization_id, actor = request.principal.organization_id, request.principal.actor
    try:
        proposal = decide(organization_id=organization_id, proposal_id=proposal_id, actor=actor)
    except ThresholdProposal.DoesNotExist:
        raise Http404 from None
    except WrongStateError as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, done.format(threshold=proposal.threshold))
    return redirect("cache")
