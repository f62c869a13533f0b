"""`/budgets/`: limits, spending, and changes to budgets."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.chart_views import ChartPage, chart_views
from aiinfra.charts import Chart, Table
from aiinfra.pages import is_partial, kept_by_open_pages
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.budgets import figures, manage, screens
from cost_app.budgets.forms import VALUE_FIELDS, BudgetForm, EditForm, IncreaseForm, add_refusal
from cost_app.budgets.names import budget_names
from cost_app.budgets.terms import BudgetChangedError, BudgetTermsError
from cost_app.models import Budget, BudgetIncrease, BudgetScope

CHANGED = (
    "Another person changed this budget after you opened the page. Nothing was saved. "
    '<a href="{}">Load the current settings</a> and make your change again.'
)
NO_FIGURE = Chart({"data": [], "layout": {}}, Table([], []))


@permission_required("cost:read")
@require_GET
@vary_on_headers("HX-Request")
@kept_by_open_pages
def budget_list(request: MemberRequest) -> HttpResponse:
    """The current budgets; for HTMX only their progress."""
    rows = screens.budget_rows(request.principal.organization_id)
    context: dict[str, Any] = {
        "rows": rows,
        "places": screens.places_of(rows),
        "can_write": request.principal.can("budget:write"),
    }
    if is_partial(request):
        return render(request, "cost/budgets/_rows.html", context)
    return render(request, "cost/budgets/budgets.html", {**context, "removed": screens.removed_budgets()})


@permission_required("budget:write")
@require_http_methods(["GET", "POST"])
def budget_create(request: MemberRequest) -> HttpResponse:
    """Create a budget."""
    form = BudgetForm(request.POST or None, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        try:
            made = manage.set_budget(
                organization_id=request.principal.organization_id,
                terms=form.terms(),
                from_now=form.from_now,
                actor=request.principal.actor,
            )
        except BudgetTermsError as refusal:
            add_refusal(form, refusal.field, str(refusal))
        else:
            messages.success(request, "Budget created.")
            return redirect("budget", made.id)
    status = 422 if request.method == "POST" else 200
    return render(request, "cost/budgets/new.html", {"form": form}, status=status)


def _initial(request: MemberRequest) -> dict[str, str]:
    """With `?api_key=` the form for a budget of that key."""
    key = request.GET.get("api_key")
    return {"scope": BudgetScope.API_KEY.value, "api_key": key} if key else {}


@permission_required("budget:write")
@require_GET
def budget_preview(request: MemberRequest) -> HttpResponse:
    """What the current period has already cost, as a preview in the form of a new budget."""
    scope = request.GET.get("scope", "")
    value = request.GET.get(VALUE_FIELDS.get(scope, ""), "")  # type: ignore[call-overload]
    try:
        spent = manage.spent_so_far(
            organization_id=request.principal.organization_id,
            period=request.GET.get("period", ""),
            scope=scope,
            scope_value=value,
        )
    except BudgetTermsError:
        spent = None
    return render(request, "cost/budgets/_preview.html", {"spent": spent})


@permission_required("cost:read")
@require_GET
@vary_on_headers("HX-Request")
@kept_by_open_pages
def budget(request: MemberRequest, budget_id: int) -> HttpResponse:
    """One budget; for HTMX only the current window and its reservations."""
    found = get_object_or_404(Budget, id=budget_id)
    if is_partial(request):
        return render(request, "cost/budgets/_running.html", _running_context(screens.budget_row(found)))
    return _detail(request, found)


@permission_required("budget:write")
@require_http_methods(["GET", "POST"])
def budget_edit(request: MemberRequest, budget_id: int) -> HttpResponse:
    """Change a budget's limit, thresholds, carry-over or enforcement."""
    found = get_object_or_404(Budget, id=budget_id, is_active=True)
    initial = {**EditForm.values_of(found), "seen": EditForm.version_of(found)}
    form = EditForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            terms = manage.budget_terms(found, **form.settings())
            manage.set_budget(
                organization_id=found.organization_id,
                terms=terms,
                unchanged_since=form.cleaned_data["seen"],
                actor=request.principal.actor,
            )
        except BudgetTermsError as refusal:
            add_refusal(form, refusal.field, str(refusal))
        except BudgetChangedError:
            url = reverse("budget_edit", args=[found.id])
            form.add_error(None, format_html(CHANGED, url))
        else:
            messages.success(request, "Budget saved.")
            return redirect("budget", found.id)
    context = {"form": form, "name": budget_names([found])[found.id], "budget": found}
    status = 422 if request.method == "POST" else 200
    return render(request, "cost/budgets/edit.html", context, status=status)


@permission_required("budget:write")
@require_POST
def budget_remove(request: MemberRequest, budget_id: int) -> HttpResponse:
    """Remove a budget."""
    found = get_object_or_404(Budget, id=budget_id)
    if manage.remove_budget(budget=found, actor=request.principal.actor):
        messages.success(request, "Budget removed. Its history is kept.")
    return redirect("budgets")


@permission_required("budget:write")
@require_POST
def budget_increase(request: MemberRequest, budget_id: int) -> HttpResponse:
    """Raise a budget's limit temporarily."""
    found = get_object_or_404(Budget, id=budget_id, is_active=True)
    form = IncreaseForm(request.POST)
    if form.is_valid():
        try:
            granted = form.granted(found.organization_id)
            manage.grant_increase(budget=found, actor=request.principal.actor, **granted)
        except BudgetTermsError as refusal:
            add_refusal(form, refusal.field, str(refusal))
        else:
            messages.success(request, "Limit increased.")
            return redirect("budget", found.id)
    return _detail(request, found, form=form, status=422)


@permission_required("budget:write")
@require_POST
def increase_withdraw(request: MemberRequest, increase_id: int) -> HttpResponse:
    """Withdraw a temporary increase."""
    found = get_object_or_404(BudgetIncrease.objects.select_related("budget"), id=increase_id)
    if manage.withdraw_increase(increase=found, actor=request.principal.actor):
        messages.success(request, "Increase withdrawn.")
    else:
        messages.warning(request, "The increase had already ended.")
    return redirect("budget", found.budget_id)


def _burn_down(_request: MemberRequest, budget_id: int) -> ChartPage:
    row = screens.budget_row(get_object_or_404(Budget, id=budget_id))
    draw = partial(figures.burn_down, row) if row else lambda: NO_FIGURE
    return ChartPage("Current period", draw, reverse("budget", args=[budget_id]), "Budget")


def _history(_request: MemberRequest, budget_id: int) -> ChartPage:
    found = get_object_or_404(Budget, id=budget_id)
    draw = partial(figures.history, found, screens.budget_row(found))
    return ChartPage("All periods", draw, reverse("budget", args=[budget_id]), "Budget")


burn_down, burn_down_table = chart_views("cost:read", _burn_down)
history, history_table = chart_views("cost:read", _history)


def _detail(
    request: MemberRequest, found: Budget, *, form: IncreaseForm | None = None, status: int = 200
) -> HttpResponse:
    detail = screens.budget_detail(found, with_events=request.principal.can("audit:read"))
    first_guess = {"last_day": screens.last_day_of(detail.row.window)} if detail.row else {}
    context = {
        "detail": detail,
        "budget": found,
        **_running_context(detail.row),
        "form": form or IncreaseForm(initial=first_guess),
        "can_write": request.principal.can("budget:write"),
        "can_audit": request.principal.can("audit:read"),
    }
    return render(request, "cost/budgets/budget.html", context, status=status)


def _running_context(row: screens.BudgetRow | None) -> dict[str, Any]:
    holds = screens.open_holds(row.window) if row else []
    return {"row": row, "holds": holds, "holds_shown": screens.HOLDS_SHOWN}
