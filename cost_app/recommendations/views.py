"""`/recommendations/`: how to spend less, what was applied, and the results."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.failures import WrongStateError
from aiinfra.pages import is_partial
from aiinfra.templatetags.formats import money_places
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.models import Recommendation, RecommendationState
from cost_app.recommendations import lifecycle
from cost_app.recommendations.forms import ChoiceForm, DismissForm, StateForm
from cost_app.recommendations.provider_choice import NoModelError, get_optimal_provider
from cost_app.recommendations.screens import recommendation_row, recommendation_rows

DONE = {
    lifecycle.apply: "Recommendation applied.",
    lifecycle.undo: "Recommendation reopened.",
    lifecycle.dismiss: "Recommendation dismissed.",
}


@permission_required("cost:read")
@require_GET
@vary_on_headers("HX-Request")
def recommendation_list(request: MemberRequest) -> HttpResponse:
    """Largest savings first; for HTMX only the list."""
    state = StateForm(request.GET).chosen()
    context = {
        "rows": recommendation_rows(state),
        "state": state.value,
        "states": RecommendationState.values,
        "choice_form": ChoiceForm(),
    }
    return render(request, _template(request, "_list.html", "list.html"), context)


@permission_required("cost:read")
@require_GET
def recommendation_detail(request: MemberRequest, recommendation_id: int) -> HttpResponse:
    """One recommendation with its evidence."""
    return _detail(request, _found(recommendation_id), DismissForm())


@permission_required("advice:write")
@require_POST
def apply(request: MemberRequest, recommendation_id: int) -> HttpResponse:
    """Apply a recommendation, or mark it for people to act on."""
    return _change(request, recommendation_id, lifecycle.apply)


@permission_required("advice:write")
@require_POST
def undo(request: MemberRequest, recommendation_id: int) -> HttpResponse:
    """Reopen a recommendation; its rule ends."""
    return _change(request, recommendation_id, lifecycle.undo)


@permission_required("advice:write")
@require_POST
def dismiss(request: MemberRequest, recommendation_id: int) -> HttpResponse:
    """Dismiss a recommendation with a reason."""
    form = DismissForm(request.POST)
    if not form.is_valid():
        return _detail(request, _found(recommendation_id), form, status=422)
    return _change(request, recommendation_id, lifecycle.dismiss, reason=form.cleaned_data["reason"])


@permission_required("cost:read")
@require_GET
@vary_on_headers("HX-Request")
def provider_choice(request: MemberRequest) -> HttpResponse:
    """Which provider to use for a kind of request; for HTMX only the answer."""
    form = ChoiceForm(request.GET)
    context: dict[str, Any] = {"choice_form": form}
    if form.is_valid():
        try:
            context["choice"] = get_optimal_provider(request.principal.organization_id, **form.cleaned_data)
        except NoModelError as error:
            context["problem"] = str(error)
    status = 200 if form.is_valid() else 422
    return render(request, _template(request, "_choice.html", "choice.html"), context, status=status)


def _change(
    request: MemberRequest, recommendation_id: int, change: Callable[..., object], **arguments: str
) -> HttpResponse:
    found = _found(recommendation_id)
    try:
        change(recommendation=found, actor=request.principal.actor, **arguments)
        by_people = change is lifecycle.apply and not lifecycle.makes_rule(found)
        messages.success(request, "Recommendation marked as done." if by_people else DONE[change])
    except WrongStateError as error:
        messages.error(request, str(error))
    return redirect("recommendation", found.id)


def _detail(request: MemberRequest, found: Recommendation, form: DismissForm, status: int = 200) -> HttpResponse:
    context = {
        "row": recommendation_row(found.id),
        "places": money_places(each["value"] for each in found.evidence.get("figures", []) if each["unit"] == "nano"),
        "form": form,
        "can_write": request.principal.can("advice:write"),
    }
    return render(request, "cost/recommendations/detail.html", context, status=status)


def _found(recommendation_id: int) -> Recommendation:
    found = lifecycle.recommendation_by_id(recommendation_id)
    if found is None:
        raise Http404
    return found


def _template(request: MemberRequest, partial: str, page: str) -> str:
    return f"cost/recommendations/{partial if is_partial(request) else page}"
