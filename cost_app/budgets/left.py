"""What budgets have left."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.budgets.screens import budget_rows
from cost_app.budgets.windows import windows_holding
from cost_app.models import Budget, BudgetScope, Enforcement

ORGANIZATIONS_MAX = 200
"""Each takes three queries."""


@dataclass(frozen=True)
class BudgetLeft:
    """An active budget in its current window; nano-dollars. `subject` is empty for users, whose names are private."""

    organization_id: int
    budget_id: int
    period: str
    scope: str
    subject: str
    limit_nano: int
    free_nano: int


def budgets_left(organization_id: int | None) -> Iterator[BudgetLeft]:
    """The active budgets of an organization; for None, of the first `ORGANIZATIONS_MAX` organizations that have one."""
    for each in [organization_id] if organization_id is not None else _with_budgets():
        with organization_scope(each):
            rows = budget_rows(each)
        for row in rows:
            budget = row.budget
            subject = row.name.key_id or ("" if budget.scope == BudgetScope.USER else budget.scope_value)
            usage = row.usage
            yield BudgetLeft(each, budget.id, budget.period, budget.scope, subject, usage.limit_nano, usage.free_nano)


def left_after(attempt_id: UUID) -> int | None:
    """Nano-dollars left in the tightest blocking budget that has counted a call; None if there is none."""
    held = [each for each in windows_holding(attempt_id) if each.window.enforcement != Enforcement.WARN]
    return min((each.free_nano for each in held), default=None)


def _with_budgets() -> list[int]:
    with system_scope():
        active = Budget.objects.filter(is_active=True).order_by("organization_id")
        return list(active.values_list("organization_id", flat=True).distinct()[:ORGANIZATIONS_MAX])
