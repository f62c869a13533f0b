"""Budget rules about models: unpriced models, and downgrades near the limit."""

from collections.abc import Callable
from typing import Any

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


NEAR_ITS_LIMIT = {"enforcement": "downgrade", "alert_percent": 1, "warning_percent": 1}
GPT_4 = {"provider": "openai", "model": "gpt-4"}
PICTURE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]
TOOLS = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]


@pytest.fixture
def cheaper_model(scoped: Organization) -> None:
    """The organization allows a cheaper model for simple requests."""
    allowed = [{"provider": "deepseek", "model": "deepseek-chat", "classes": ["simple"]}]
    CostPolicy.objects.create(organization=scoped, allowed_models=allowed)


@pytest.mark.usefixtures("cheaper_model")
@pytest.mark.parametrize(
    ("call", "model"),
    [
        ({}, "deepseek-chat"),
        ({"parameters": {"tools": TOOLS}}, "gpt-4"),
        ({"messages": [{"role": "user", "content": "What is this?"}, {"role": "user", "content": PICTURE}]}, "gpt-4"),
        ({"messages": [{"role": "assistant", "tool_calls": []}]}, "gpt-4"),
        ({"request_class": "creative"}, "gpt-4"),
        ({"messages": [{"role": "user", "content": "Write a poem."}]}, "gpt-4"),
        ({"max_tokens": 2_001}, "gpt-4"),
    ],
    ids=["plain", "tools", "picture", "no text", "named class", "class of the text", "class of the answer's limit"],
)
def test_only_plain_calls_of_an_allowed_class_are_downgraded(
    open_attempt: Open, make_budget: MakeBudget, call: dict[str, Any], model: str
) -> None:
    bound = open_attempt(**GPT_4, max_tokens=2_000).bound_nano
    make_budget(limit_nano=50 * bound, **NEAR_ITS_LIMIT)
    assert open_attempt(**GPT_4, **{"max_tokens": 2_000, **call}).model == model


@pytest.mark.usefixtures("cheaper_model")
def test_downgraded_call_counts_in_the_budgets_of_its_new_model(open_attempt: Open, make_budget: MakeBudget) -> None:
    make_budget(limit_nano=10**8, **NEAR_ITS_LIMIT)
    new = make_budget(scope="model", scope_value="deepseek/deepseek-chat")
    make_budget(scope="model", scope_value="openai/gpt-4", limit_nano=10**9)
    attempt = open_attempt(**GPT_4, user_ref="ann", tags=["red"], number=2)
    assert (attempt.model, attempt.user_ref, attempt.tags, attempt.number) == ("deepseek-chat", "ann", ["red"], 2)
    reserved = BudgetWindow.objects.filter(reserved_nano=attempt.bound_nano).values_list("budget__scope", flat=True)
    assert sorted(reserved) == ["model", "organization"]
    assert BudgetWindow.objects.get(budget=new).reserved_nano == attempt.bound_nano


@pytest.mark.usefixtures("cheaper_model")
def test_any_of_several_budgets_can_downgrade(open_attempt: Open, make_budget: MakeBudget) -> None:
    make_budget(limit_nano=10**12)
    make_budget(limit_nano=10**8, period="weekly", **NEAR_ITS_LIMIT)
    make_budget(limit_nano=10**12, period="monthly", **{**NEAR_ITS_LIMIT, "alert_percent": 100})
    assert open_attempt(**GPT_4).model == "deepseek-chat"


@pytest.mark.parametrize(
    "call",
    [{}, {"parameters": {"tools": TOOLS}}, {**GPT_4}, {"messages": [{"role": "user", "content": "long " * 50}]}],
    ids=["plain", "tools", "other model", "other text"],
)
@pytest.mark.parametrize("mode", ["strict", "normal"])
def test_a_refusal_names_the_longest_answer_that_fits(
    organization: Organization, open_attempt: Open, make_budget: MakeBudget, call: dict[str, Any], mode: str
) -> None:
    CostPolicy.objects.create(organization=organization, bound_mode=mode)
    least = open_attempt(**call, max_tokens=40).bound_nano
    budget = make_budget(limit_nano=least)
    with pytest.raises(BudgetExceededError, match="It fits with at most 40 output tokens") as refusal:
        open_attempt(**call)
    error = refusal.value
    assert (error.budget, error.available_nano, error.needed_nano > least) == (budget, least, True)
    assert error.fits_tokens == 40
    with pytest.raises(BudgetExceededError):
        open_attempt(**call, max_tokens=41)
    assert open_attempt(**call, max_tokens=40).bound_nano == least


def test_admission_stores_users_and_tags_in_their_normal_form(open_attempt: Open) -> None:
    attempt = open_attempt(user_ref=" ann ", tags=[" red", "red", ""])
    assert (attempt.user_ref, attempt.tags, attempt.number) == ("ann", ["red"], 1)
