"""The JSON operations of budgets."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.utils import timezone

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError, not_found
from aiinfra.money import dollars
from aiinfra.row_ids import is_row_id
from cost_app.budgets import manage
from cost_app.budgets.payloads import (
    BudgetDetailOut,
    BudgetIncreaseOut,
    BudgetReference,
    BudgetRemoved,
    BudgetsOut,
    BudgetsQuery,
    BudgetWindowOut,
    IncreaseBudget,
    IncreaseReference,
    IncreaseWithdrawn,
    ScopeIn,
    SetBudget,
)
from cost_app.budgets.screens import BudgetRow, budget_row, budget_rows
from cost_app.budgets.terms import BudgetSumError, BudgetTerms, BudgetTermsError
from cost_app.models import Budget, BudgetIncrease, BudgetScope

FIELDS = {
    "limit_nano": "limit",
    "rollover_cap_nano": "rolloverCap",
    "warning_percent": "warningThreshold",
    "alert_percent": "alertThreshold",
    "scope_value": "scope.value",
    "nano": "amount",
    "expires_at": "expiresAt",
    "budget": "budgetId",
}
"""API names of rejected settings."""


def get_budgets(call: ApiCall, _payload: BudgetsQuery) -> BudgetsOut:
    """Every active budget with its current period."""
    return budgets_out(call.principal.organization_id)


def set_budget(call: ApiCall, payload: SetBudget) -> BudgetDetailOut:
    """Create or change a budget."""
    with _refusals():
        budget = manage.set_budget(
            organization_id=call.principal.organization_id,
            terms=terms_from(payload),
            from_now=payload.count_from == "now",
            actor=call.principal.actor,
        )
    return _one(budget)


def terms_from(payload: SetBudget) -> BudgetTerms:
    """Convert the client's payload to budget terms."""
    scope = payload.scope
    return BudgetTerms(
        period=payload.period,
        limit_nano=payload.limit,
        warning_percent=payload.warning_threshold,
        alert_percent=payload.alert_threshold,
        rollover_unused=payload.rollover_unused,
        rollover_cap_nano=payload.rollover_cap,
        enforcement=payload.enforcement,
        scope=scope.type if isinstance(scope, ScopeIn) else scope,
        scope_value=scope.value if isinstance(scope, ScopeIn) else "",
    )


def remove_budget(call: ApiCall, payload: BudgetReference) -> BudgetRemoved:
    """Remove a budget."""
    if not manage.remove_budget(budget=_active(payload.budget_id), actor=call.principal.actor):
        raise not_found()
    return BudgetRemoved(removed=True)


def increase_budget(call: ApiCall, payload: IncreaseBudget) -> BudgetDetailOut:
    """Raise a budget's limit temporarily."""
    budget = _active(payload.budget_id)
    with _refusals():
        manage.grant_increase(
            budget=budget,
            nano=payload.amount,
            reason=payload.reason,
            expires_at=payload.expires_at,
            actor=call.principal.actor,
        )
    return _one(budget)


def withdraw_increase(call: ApiCall, payload: IncreaseReference) -> IncreaseWithdrawn:
    """Withdraw a temporary increase."""
    known = BudgetIncrease.objects.select_related("budget")
    increase = known.filter(id=int(payload.increase_id)).first() if is_row_id(payload.increase_id) else None
    if increase is None or not manage.withdraw_increase(increase=increase, actor=call.principal.actor):
        raise not_found()
    return IncreaseWithdrawn(withdrawn=True)


def budgets_out(organization_id: int) -> BudgetsOut:
    """The organization's budgets for the API; four queries, whatever their number."""
    rows = budget_rows(organization_id)
    increases = _increases(rows)
    return BudgetsOut(budgets=[_budget_out(row, increases[row.budget.id]) for row in rows])


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except BudgetTermsError as refusal:
        param = FIELDS.get(refusal.field, refusal.field)
        status = 422 if isinstance(refusal, BudgetSumError) else 400
        raise ApiError(status, "invalid_request", str(refusal), param=param) from None


def _active(budget_id: str) -> Budget:
    budget = Budget.objects.filter(id=int(budget_id), is_active=True).first() if is_row_id(budget_id) else None
    if budget is None:
        raise not_found()
    return budget


def _one(budget: Budget) -> BudgetDetailOut:
    row = budget_row(budget)
    if row is None:  # someone removed it in the meantime
        raise not_found()
    return _budget_out(row, _increases([row])[budget.id])


def _increases(rows: Sequence[BudgetRow]) -> dict[int, list[BudgetIncrease]]:
    """Increases in effect, by budget."""
    found: dict[int, list[BudgetIncrease]] = defaultdict(list)
    ids = [row.budget.id for row in rows if row.open.increase_nano]
    if ids:
        in_force = BudgetIncrease.objects.filter(budget__in=ids, withdrawn_at=None, expires_at__gt=timezone.now())
        for increase in in_force.order_by("id"):
            found[increase.budget_id].append(increase)
    return found


def _budget_out(row: BudgetRow, increases: Sequence[BudgetIncrease]) -> BudgetDetailOut:
    budget, cap = row.budget, row.budget.rollover_cap_nano
    is_key = budget.scope == BudgetScope.API_KEY
    return BudgetDetailOut.model_validate(
        {
            "id": str(budget.id),
            "period": budget.period,
            "scope": budget.scope,
            "scope_value": row.name.key_id if is_key else budget.scope_value,
            "limit": dollars(budget.limit_nano),
            "warning_threshold": budget.warning_percent,
            "alert_threshold": budget.alert_percent,
            "rollover_unused": budget.rollover_unused,
            "rollover_cap": None if cap is None else dollars(cap),
            "enforcement": budget.enforcement,
            "window": _window_out(row),
            "increases": [_increase_out(increase) for increase in increases],
        }
    )


def _window_out(row: BudgetRow) -> BudgetWindowOut:
    usage = row.usage
    return BudgetWindowOut(
        start=row.window.starts_at,
        end=row.window.ends_at,
        limit=dollars(usage.limit_nano),
        spent=dollars(usage.spent_nano),
        held=dollars(usage.held_nano),
        free=dollars(usage.free_nano),
        percent=usage.percent,
        refusing=row.open.is_refusing,
        refused_calls=row.window.refused_calls,
    )


def _increase_out(increase: BudgetIncrease) -> BudgetIncreaseOut:
    return BudgetIncreaseOut(
        id=str(increase.pk),
        amount=dollars(increase.nano),
        reason=increase.reason,
        by=increase.by,
        expires_at=increase.expires_at,
    )


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "budgets"): Operation(
        get_budgets, "cost:read", BudgetsQuery, BudgetsOut, "List budgets with their remaining amounts"
    ),
    ("POST", "set-budget"): Operation(
        set_budget, "budget:write", SetBudget, BudgetDetailOut, "Create or change a budget"
    ),
    ("POST", "remove-budget"): Operation(
        remove_budget, "budget:write", BudgetReference, BudgetRemoved, "Remove a budget"
    ),
    ("POST", "increase-budget"): Operation(
        increase_budget, "budget:write", IncreaseBudget, BudgetDetailOut, "Raise a budget's limit temporarily"
    ),
    ("POST", "withdraw-increase"): Operation(
        withdraw_increase, "budget:write", IncreaseReference, IncreaseWithdrawn, "Withdraw a temporary increase"
    ),
}
