"""`/prices/`: what models cost, proposals, and corrections by staff."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import is_partial, with_toast
from aiinfra.row_ids import is_row_id
from aiinfra.tenants.access import MemberRequest, permission_required, staff_required
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.staff import StaffRight
from cost_app.models import ModelPrice, PriceProposal, Repricing
from cost_app.prices import proposals, repricing
from cost_app.prices.forms import PriceFilterForm, PriceForm, ReasonForm, RepricingForm, initial_of
from cost_app.prices.screens import by_provider, current_prices, decided_proposals, price_history, waiting_proposals
from cost_app.prices.terms import PriceError

CALLS_MAX = 2_000
"""The command reprices larger periods, because it may take longer."""
RUNS_SHOWN = 20
PAGE_SIZE = 50


@permission_required("cost:read", or_staff=StaffRight.APPROVE_PRICES)
@require_GET
@vary_on_headers("HX-Request")
def price_list(request: MemberRequest) -> HttpResponse:
    """One page of the current prices, by provider; for HTMX only the tables. An invalid page is the first or last."""
    form = PriceFilterForm(request.GET)
    chosen = form.chosen()
    page = Paginator(current_prices(**chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "groups": by_provider(page),
        "is_filtered": bool(chosen),
        "filters": urlencode(chosen),
        "waiting": PriceProposal.objects.filter(state="waiting").count(),
    }
    return render(request, _template(request, "_prices.html", "prices.html"), context)


@permission_required("cost:read", or_staff=StaffRight.APPROVE_PRICES)
@require_GET
def history(request: MemberRequest, name: str) -> HttpResponse:
    """Every version of `provider/model`."""
    provider, _, model = name.partition("/")
    rows = price_history(provider, model)
    if not rows:
        raise Http404
    return render(request, "cost/prices/history.html", {"provider": provider, "model": model, "rows": rows})


@staff_required(StaffRight.APPROVE_PRICES)
@require_http_methods(["GET", "POST"])
def add(request: MemberRequest) -> HttpResponse:
    """Add a version; `?like=<id>` copies the columns of another one."""
    if request.method != "POST":
        return _price_form(request, PriceForm(initial=_initial(request)))
    form = PriceForm(request.POST)
    if not form.is_valid():
        return _price_form(request, form, status=422)
    try:
        version = proposals.submit_version(
            terms=form.chosen_terms(), effective_from=form.chosen_beginning(), actor=user_actor(request.user)
        )
    except PriceError as error:
        form.add_error(None, str(error))
        return _price_form(request, form, status=422)
    if isinstance(version, PriceProposal):
        messages.success(request, "Price proposed. Another person must approve it.")
        return redirect("price_proposals")
    messages.success(request, "Version added. Calls already booked keep their price.")
    return redirect("price_history", f"{version.provider}/{version.model}")


@permission_required("cost:read", or_staff=StaffRight.APPROVE_PRICES)
@require_GET
def proposal_list(request: MemberRequest) -> HttpResponse:
    """Pending proposals, and the most recent decisions."""
    return render(request, "cost/prices/proposals.html", _proposals())


@staff_required(StaffRight.APPROVE_PRICES)
@require_POST
def approve(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Add a proposed price to the book."""
    return _decide(request, proposal_id, proposals.approve, "Price added to the book.")


@staff_required(StaffRight.APPROVE_PRICES)
@require_POST
def reject(request: MemberRequest, proposal_id: int) -> HttpResponse:
    """Leave the book unchanged."""
    return _decide(request, proposal_id, proposals.reject, "Proposal rejected. The book is unchanged.")


@staff_required(StaffRight.APPROVE_PRICES)
@require_GET
def repricing_form(request: MemberRequest) -> HttpResponse:
    """Select a period; for a selected one, show what repricing would change."""
    if "provider" not in request.GET:
        return _repricing(request, RepricingForm())
    form = RepricingForm(request.GET)
    return _repricing(request, form, status=200 if form.is_valid() else 422, show_difference=True)


@staff_required(StaffRight.APPROVE_PRICES)
@require_POST
def repricing_post(request: MemberRequest) -> HttpResponse:
    """Correct the ledger."""
    form, reason = RepricingForm(request.POST), ReasonForm(request.POST)
    if not (form.is_valid() and reason.is_valid()) or _is_too_long(form):
        return _repricing(request, form, reason, status=422, show_difference=True)
    done = repricing.reprice(
        period=form.chosen_period(), actor=user_actor(request.user), reason=reason.cleaned_data["reason"]
    )
    messages.success(request, "Corrections posted." if done else "There was nothing to correct.")
    return redirect("price_repricing")


def _initial(request: MemberRequest) -> dict[str, Any]:
    like = request.GET.get("like", "")
    return initial_of(get_object_or_404(ModelPrice, pk=int(like))) if is_row_id(like) else {}


def _price_form(request: MemberRequest, form: PriceForm, status: int = 200) -> HttpResponse:
    return render(request, "cost/prices/add.html", {"form": form, "now": timezone.now()}, status=status)


def _proposals() -> dict[str, Any]:
    return {"rows": waiting_proposals(), "decided": decided_proposals()}


def _decide(request: MemberRequest, proposal_id: int, decide: Any, done: str) -> HttpResponse:
    proposal = get_object_or_404(PriceProposal, pk=proposal_id)
    level, text, status = "success", done, 200
    try:
        decide(proposal=proposal, actor=user_actor(request.user))
    except PriceError as error:
        level, text, status = "error", str(error), 422
    if not request.htmx:
        return with_toast(request, redirect("price_proposals"), level, text)
    return with_toast(request, render(request, "cost/prices/_proposals.html", _proposals(), status=status), level, text)


def _repricing(
    request: MemberRequest,
    form: RepricingForm,
    reason: ReasonForm | None = None,
    *,
    status: int = 200,
    show_difference: bool = False,
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "reason": reason or ReasonForm(), "runs": _runs()}
    if show_difference and form.is_valid():
        context |= _difference(form)
    return render(request, "cost/prices/repricing.html", context, status=422 if context.get("problem") else status)


def _difference(form: RepricingForm) -> dict[str, Any]:
    if _is_too_long(form):
        return {"problem": f"More than {CALLS_MAX:,} calls: use manage.py reprice, or select a shorter period."}
    rows = repricing.difference(form.chosen_period())
    return {
        "period": form.chosen_period(),
        "rows": rows,
        "changed": sum(row.changed for row in rows),
        "difference_nano": sum(row.difference_nano for row in rows),
    }


def _is_too_long(form: RepricingForm) -> bool:
    return repricing.count_calls(form.chosen_period()) > CALLS_MAX


def _runs() -> Any:
    return Repricing.objects.order_by("-at")[:RUNS_SHOWN]


def _template(request: MemberRequest, partial: str, page: str) -> str:
    return f"cost/prices/{partial if is_partial(request) else page}"
