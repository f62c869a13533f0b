"""Creates the initial budget of an API key."""

from aiinfra.tenants.key_budget import KeyBudget
from aiinfra.tenants.models import ApiKey
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import BudgetScope, Enforcement


def set_key_budget(key: ApiKey, budget: KeyBudget, actor: str) -> None:
    """Create a budget that refuses what exceeds it. Raises BudgetTermsError."""
    terms = BudgetTerms(
        period=budget.period,
        limit_nano=budget.limit_nano,
        enforcement=Enforcement.BLOCK,
        scope=BudgetScope.API_KEY,
        scope_value=str(key.pk),
    )
    set_budget(organization_id=key.organization_id, terms=terms, actor=actor)
