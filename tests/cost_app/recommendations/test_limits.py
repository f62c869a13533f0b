"""Advice on output limits, retries, and idle budgets."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.models import AttemptState, Budget, BudgetWindow, RecommendationKind
from tests.cost_app.recommendations.conftest import NOW, AdviceOf, Traffic, figures_of


def test_trim_advises_twice_the_99th_percentile_and_claims_no_saving(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, max_tokens=4_096, output_tokens=lambda number: number + 1)  # 1 to 200: p99 is 198

    (advice,) = advice_of(RecommendationKind.TRIM_MAX_TOKENS)

    assert advice.rule_terms == {"model": "openai/gpt-4", "maxTokens": 448}  # 396, rounded up to a multiple of 64
    assert (advice.monthly_nano, advice.percent) == (0, 0)
    figures = figures_of(advice)
    assert figures["99 of 100 answers had at most"] == 198
    assert figures["answers that the new limit would have cut off"] == 0
    assert figures["average budget freed while a call runs"] == (4_096 - 448) * 30_000


def test_trim_counts_answers_that_it_would_have_truncated(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, max_tokens=4_096, output_tokens=lambda number: 4_000 if number == 0 else 100)

    (advice,) = advice_of(RecommendationKind.TRIM_MAX_TOKENS)

    assert advice.rule_terms["maxTokens"] == 256
    assert figures_of(advice)["answers that the new limit would have cut off"] == 1


def test_trim_gives_no_advice_if_limits_are_used_or_unknown(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, max_tokens=1_000, output_tokens=lambda number: number * 5)
    traffic(200, model="gpt-3.5-turbo", max_tokens=0, output_tokens=10)

    assert advice_of(RecommendationKind.TRIM_MAX_TOKENS) == []


def failed(number: int, cost: int = 50_000_000) -> dict[str, object]:
    return {"number": number, "state": AttemptState.ESTIMATED, "error_code": "TIMEOUT", "cost_nano": cost}


def test_retry_waste_is_the_cost_of_unsuccessful_retries(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000)
    traffic(40, number=2)  # successful retries
    traffic(120, **failed(1))
    traffic(80, **failed(2))
    traffic(70, **failed(3))
    traffic(50, **failed(4))

    (advice,) = advice_of(RecommendationKind.RETRY_WASTE)

    assert advice.rule_terms == {"maxRetries": 1, "savedPerRequest": 120 * 50_000_000 // 80}
    assert advice.monthly_nano == 120 * 50_000_000
    assert figures_of(advice)["of those, answered"] == 0


def test_retry_waste_excludes_successful_retries(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000)
    traffic(200, **failed(2))
    traffic(4, number=2)

    (advice,) = advice_of(RecommendationKind.RETRY_WASTE)

    assert advice.rule_terms["maxRetries"] == 0
    assert advice.monthly_nano == 200 * 50_000_000
    assert figures_of(advice)["of those, answered"] == 4


def test_retry_waste_gives_no_advice_if_retries_succeed(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000)
    traffic(200, **failed(2))
    traffic(20, number=2)

    assert advice_of(RecommendationKind.RETRY_WASTE) == []


def test_retry_waste_gives_no_advice_if_failed_retries_were_not_billed(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000)
    traffic(200, number=2, state=AttemptState.RELEASED, error_code="RATE_LIMITED", cost_nano=0)

    assert advice_of(RecommendationKind.RETRY_WASTE) == []


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def daily(organization: Organization) -> Budget:
    with system_scope():
        return Budget.objects.create(
            organization=organization,
            period="daily",
            limit_nano=1_000_000_000,
            created_at=datetime(2026, 11, 1, tzinfo=UTC),
        )


def add_windows(budget: Budget, *spent: int) -> None:
    """Create windows with the amounts spent yesterday, the day before, and so on."""
    for days, nano in enumerate(spent, start=1):
        begin = datetime(2026, 11, 20, tzinfo=BERLIN) - timedelta(days=days)
        with system_scope():
            BudgetWindow.objects.create(
                organization_id=budget.organization_id,
                budget=budget,
                starts_at=begin,
                ends_at=begin + timedelta(days=1),
                limit_nano=budget.limit_nano,
                enforcement="warn",
                committed_nano=nano,
            )


def test_a_rarely_used_budget_is_reported(daily: Budget, advice_of: AdviceOf) -> None:
    add_windows(daily, 99_999_999, 0, 50, 999_999_999)

    (advice,) = advice_of(RecommendationKind.IDLE_BUDGET)

    assert advice.subject == str(daily.pk)
    assert (advice.monthly_nano, advice.confidence) == (0, "high")
    assert figures_of(advice)["unused limit"] == 1_000_000_000 - 99_999_999


def test_days_without_a_window_count_as_unused(daily: Budget, advice_of: AdviceOf) -> None:
    assert len(advice_of(RecommendationKind.IDLE_BUDGET)) == 1


def test_budget_used_once_in_three_periods_gives_no_advice(daily: Budget, advice_of: AdviceOf) -> None:
    add_windows(daily, 0, 0, 100_000_000)

    assert advice_of() == []


def test_new_or_removed_budget_gives_no_advice(daily: Budget, advice_of: AdviceOf) -> None:
    with system_scope():
        Budget.objects.filter(pk=daily.pk).update(created_at=NOW - timedelta(days=3))
    assert advice_of() == []

    with system_scope():
        Budget.objects.filter(pk=daily.pk).update(created_at=NOW - timedelta(days=300), is_active=False)
    assert advice_of() == []
