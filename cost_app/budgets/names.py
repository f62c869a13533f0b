"""What a budget is called: its period and what it applies to."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Q

from aiinfra.tenants.models import ApiKey
from cost_app.models import Budget, BudgetPeriod, BudgetScope


@dataclass(frozen=True)
class BudgetName:
    """What a budget applies to, in words."""

    budget: Budget
    key: ApiKey | None = None

    @property
    def key_id(self) -> str:
        """The public ID of the API key; empty for other scopes."""
        return self.key.key_id if self.key else ""

    @property
    def subject(self) -> str:
        """Whose spending it counts."""
        match self.budget.scope:
            case BudgetScope.ORGANIZATION:
                return "Whole organization"
            case BudgetScope.API_KEY:
                return str(self.key)
            case _:
                return self.budget.scope_value

    @property
    def kind(self) -> str:
        """What the subject is, such as user or model; empty for the organization."""
        return "" if self.budget.scope == BudgetScope.ORGANIZATION else BudgetScope(self.budget.scope).label[4:]

    def __str__(self) -> str:
        subject = "budget of the organization" if not self.kind else f"budget of {self.kind} {self.subject}"
        return f"{BudgetPeriod(self.budget.period).label} {subject}"

    @property
    def in_text(self) -> str:
        """Within a sentence: `daily budget of tag research`."""
        name = str(self)
        return name[0].lower() + name[1:]


def budget_names(budgets: Iterable[Budget]) -> dict[int, BudgetName]:
    """Names by budget ID: one query for those of API keys."""
    budgets = list(budgets)
    wanted = [int(budget.scope_value) for budget in budgets if budget.scope == BudgetScope.API_KEY]
    keys = _newest_keys(wanted) if wanted else {}
    return {budget.id: BudgetName(budget, keys.get(budget.scope_value)) for budget in budgets}


def _newest_keys(row_ids: Collection[int]) -> dict[str, ApiKey]:
    """By row ID, the key or the one that replaced it by rotation. One query."""
    lines = ApiKey.objects.filter(id__in=row_ids, line__isnull=False).values("line")
    found = list(ApiKey.objects.filter(Q(id__in=row_ids) | Q(line__in=lines)).order_by("id"))
    newest = {key.line: key for key in found if key.line}
    return {str(key.pk): newest.get(key.line, key) if key.line else key for key in found}
