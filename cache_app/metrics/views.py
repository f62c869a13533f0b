"""`/cache/`: how often the cache answers, how often it is wrong, and what that saves."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.charts import Chart
from aiinfra.pages import is_partial
from aiinfra.tenants.access import MemberRequest, permission_required
from cache_app.learning.proposals import WrongStateError, apply_proposal, dismiss_proposal
from cache_app.metrics import screens
from cache_app.metrics.figures import CHARTS, TITLES
from cache_app.metrics.ranges import RANGES, View
from cache_app.models import ThresholdProposal
from cache_app.pages import rights


@permission_required("cache:read")
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
@conditional_page
def cache(request: MemberRequest) -> HttpResponse:
    """The figures of a range; for HTMX what moves of them: notices and tiles."""
    view, organization_id = View.of(request.GET), request.principal.organization_id
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


@permission_required("cache:read")
@require_GET
@cache_control(private=True, no_cache=True)
@conditional_page
def figure(request: MemberRequest, name: str) -> HttpResponse:
    """A chart for the page's script."""
    return JsonResponse(_chart(request, name).figure)


@permission_required("cache:read")
@require_GET
@vary_on_headers("HX-Request")
def figure_table(request: MemberRequest, name: str) -> HttpResponse:
    """The same figures as a table."""
    table = _chart(request, name).table
    template = "cache/_figure_table.html" if is_partial(request) else "cache/figure_table.html"
    return render(request, template, {"table": table, "title": TITLES[name], "view": View.of(request.GET)})


@permission_required("cache:manage")
@require_POST
def proposal_apply(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Make a proposed threshold the organization's."""
    return _decide(request, proposal_id, apply_proposal, "The threshold is {threshold:.2f} from now on.")


@permission_required("cache:manage")
@require_POST
def proposal_dismiss(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Say no to a proposed threshold."""
    done = "Dismissed: a threshold of {threshold:.2f} is not proposed again for 30 days."
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


def _chart(request: MemberRequest, name: str) -> Chart:
    if name not in CHARTS:
        raise Http404
    return CHARTS[name](request.principal.organization_id, View.of(request.GET))
