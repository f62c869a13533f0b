"""`/settings/routes/`: fallback chains, and changes to them."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.fallback import manage
from cost_app.fallback.chains import (
    DEFAULT_STEPS,
    PRICE_DECREASE_MAX,
    PRICE_INCREASE_MAX,
    Chain,
    defaults_are_on,
    effective_chain,
    effective_chains,
)
from cost_app.fallback.forms import ChangeForm, ModelChoiceForm, StepForm, model_named
from cost_app.prices.lookup import priced_models
from cost_app.recommendations.pricing import Model

RULE = {
    "least_percent": 100 // PRICE_DECREASE_MAX,
    "most_percent": 100 * PRICE_INCREASE_MAX,
    "default_steps": DEFAULT_STEPS,
}


@permission_required("queue:read")
@require_GET
def chain_list(request: MemberRequest) -> HttpResponse:
    """All effective chains. `?model=` redirects to one chain's page."""
    chooser = ModelChoiceForm(request.GET or None)
    if chooser.is_valid():
        return redirect("route", name=chooser.cleaned_data["model"])
    organization_id = request.principal.organization_id
    context = {
        "chains": effective_chains(organization_id),
        "defaults": defaults_are_on(organization_id),
        "chooser": chooser,
        "can_manage": request.principal.can("route:manage"),
        **RULE,
    }
    return render(request, "cost/fallback/chains.html", context, status=422 if chooser.errors else 200)


@permission_required("queue:read")
@require_GET
def chain(request: MemberRequest, name: str) -> HttpResponse:
    """One model's chain. 404 if the model has neither a price nor a chain."""
    asked = _asked(name)
    found = effective_chain(request.principal.organization_id, *asked)
    if not found.steps and not priced_models([asked]):
        raise Http404
    return _page(request, found)


@permission_required("route:manage")
@require_POST
def change(request: MemberRequest, name: str) -> HttpResponse:
    """Add, move or remove a step, turn the fallback off, or restore the default chain."""
    organization_id = request.principal.organization_id
    found = effective_chain(organization_id, *_asked(name))
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return _page(request, found, "Select an action.")
    try:
        _apply(form, found, organization_id=organization_id, actor=request.principal.actor)
    except manage.ChainError as error:
        return _page(request, found, str(error))
    messages.success(request, "Chain saved. It applies to the next failure.")
    return redirect("route", name=name)


@permission_required("route:manage")
@require_POST
def switch_defaults(request: MemberRequest) -> HttpResponse:
    """Turn the default chains on or off for the organization; `enabled` is `on` or `off`."""
    enabled = request.POST.get("enabled") == "on"
    principal = request.principal
    manage.use_defaults(organization_id=principal.organization_id, enabled=enabled, actor=principal.actor)
    messages.success(request, f"Default chains are {'on' if enabled else 'off'}.")
    return redirect("routes")


def _asked(name: str) -> Model:
    """The model in the URL. Raises Http404 for a name that is too long to store."""
    if "\0" in name:
        raise Http404
    return model_named(name)


def _apply(form: ChangeForm, found: Chain, *, organization_id: int, actor: str) -> None:
    asked, seen = (found.provider, found.model), form.cleaned_data["seen"]
    if form.cleaned_data["action"] == "default":
        manage.restore_default(organization_id=organization_id, asked=asked, actor=actor, seen=seen)
        return
    steps = form.changed(found)
    manage.set_chain(organization_id=organization_id, asked=asked, steps=steps, actor=actor, seen=seen)


def _page(request: MemberRequest, found: Chain, error: str = "") -> HttpResponse:
    context = {
        "chain": found,
        "error": error,
        "form": StepForm(found),
        "can_manage": request.principal.can("route:manage"),
        "is_full": len(found.steps) >= manage.STEPS_MAX,
        **RULE,
    }
    return render(request, "cost/fallback/chain.html", context, status=422 if error else 200)
