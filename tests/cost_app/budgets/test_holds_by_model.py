"""Budget rules about models: unpriced models, and downgrades near the limit."""

from collections.abc import Callable

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.ledger import attempts
from cost_app.models import Attempt, BudgetWindow, CostPolicy, LedgerEntry
from cost_app.prices.lookup import ModelNotPricedError
from tests.cost_app.budgets.test_windows import MakeBudget

Open = Callable[..., Attempt]
USAGE = TokenUsage(input=20, output=10)
pytestmark = pytest.mark.usefixtures("scoped")


def test_unpriced_model_is_admitted_if_the_policy_and_budgets_only_warn(
    organization: Organization, open_attempt: Open, make_budget: MakeBudget
) -> None:
    with pytest.raises(ModelNotPricedError):
        open_attempt(model="new-model")
    CostPolicy.objects.create(organization=organization, unpriced_models="warn")
    make_budget(enforcement="warn")
    attempt = open_attempt(model="new-model")
    attempts.dispatch(attempt, attempts.DEADLINE_GRACE)
    attempts.settle(attempt, USAGE, {})
    assert (attempt.price, attempt.bound_nano, LedgerEntry.objects.get().nano) == (None, 0, 0)


def test_a_blocking_budget_refuses_unpriced_models(
    organization: Organization, open_attempt: Open, make_budget: MakeBudget
) -> None:
    CostPolicy.objects.create(organization=organization, unpriced_models="warn")
    make_budget()
    with pytest.raises(ModelNotPricedError):
        open_attempt(model="new-model")


def test_a_downgrading_budget_uses_a_cheaper_model_near_its_limit(
    organization: Organization, open_attempt: Open, make_budget: MakeBudget
) -> None:
    CostPolicy.objects.create(
        organization=organization,
        allowed_models=[{"provider": "deepseek", "model": "deepseek-chat", "classes": ["simple"]}],
    )
    expensive = {"provider": "openai", "model": "gpt-4"}
    bound = open_attempt(**expensive).bound_nano
    budget = make_budget(limit_nano=2 * bound, enforcement="downgrade", alert_percent=60, warning_percent=50)
    models = [open_attempt(**expensive).model for _ in range(3)]
    assert models == ["gpt-4", "deepseek-chat", "deepseek-chat"]
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert open_attempt(**expensive, messages=parts, max_tokens=50).model == "gpt-4"
    BudgetWindow.objects.filter(budget=budget).update(limit_nano=1)
    with pytest.raises(BudgetExceededError):
        open_attempt(**expensive)


@pytest.mark.parametrize(
    ("columns", "model"),
    [
        ({"enforcement": "downgrade", "alert_percent": 50, "warning_percent": 50}, "gpt-4"),
        ({"enforcement": "downgrade", "alert_percent": 49, "warning_percent": 49}, "deepseek-chat"),
        ({"enforcement": "block", "alert_percent": 1, "warning_percent": 1}, "gpt-4"),
        ({"enforcement": "warn", "alert_percent": 1, "warning_percent": 1}, "gpt-4"),
    ],
    ids=["at the threshold", "above the threshold", "blocking budget", "warning budget"],
)
def test_only_downgrading_budgets_downgrade_and_only_above_their_threshold(
    organization: Organization, open_attempt: Open, make_budget: MakeBudget, columns: dict[str, object], model: str
) -> None:
    allowed = [{"provider": "deepseek", "model": "deepseek-chat", "classes": ["simple"]}]
    CostPolicy.objects.create(organization=organization, allowed_models=allowed)
    bound = open_attempt(provider="openai", model="gpt-4").bound_nano
    make_budget(limit_nano=2 * bound, **columns)
    assert open_attempt(provider="openai", model="gpt-4").model == model
