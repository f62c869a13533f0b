"""Advice on repeated requests that the cache missed."""

from datetime import timedelta

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.models import AttemptState, Dimension, RecommendationKind, UsageDay
from tests.cost_app.recommendations.conftest import NOW, AdviceOf, Traffic, figures_of

COST = 25_000_000
"""1,000 input and 500 output tokens at the price of gpt-4."""
START = NOW - timedelta(days=30)


def digests(prefix: str) -> object:
    return lambda number: f"{prefix}{number}"


def test_saving_is_the_billed_cost_of_missed_repeats(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, step=timedelta(hours=3), prompt_digest=digests("a"))
    traffic(120, step=timedelta(hours=3), first=START + timedelta(hours=1), prompt_digest=digests("a"))

    (advice,) = advice_of(RecommendationKind.CACHE_REPEATS)

    assert advice.monthly_nano == 120 * COST
    assert advice.evidence["sample"]["bearing"] == 120
    assert advice.rule_terms == {}


def test_every_repeat_counts_against_the_previous_request(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(101, step=timedelta(hours=2), prompt_digest="same")

    (advice,) = advice_of(RecommendationKind.CACHE_REPEATS)

    assert advice.monthly_nano == 100 * COST


def test_repeats_within_a_day_and_within_a_week_are_distinguished_to_the_second(
    traffic: Traffic, advice_of: AdviceOf, organization: Organization
) -> None:
    traffic(150, step=timedelta(hours=1), prompt_digest=digests("a"))
    day, week = timedelta(hours=24, seconds=2), timedelta(days=7, seconds=2)  # calls take 2 s
    traffic(50, step=timedelta(hours=1), first=START + day, prompt_digest=digests("a"))
    traffic(
        60,
        step=timedelta(hours=1),
        first=START + timedelta(hours=60) + day + timedelta(microseconds=1),
        prompt_digest=lambda number: f"a{60 + number}",
    )
    traffic(
        30,
        step=timedelta(hours=1),
        first=START + timedelta(hours=120) + week + timedelta(microseconds=1),
        prompt_digest=lambda number: f"a{120 + number}",
    )
    with system_scope():
        UsageDay.objects.create(
            organization=organization, day=NOW.date(), dimension=Dimension.TOTAL, cache_hits=77, calls=77
        )

    repeats = advice_of(RecommendationKind.CACHE_REPEATS)[0]
    tuning = advice_of(RecommendationKind.CACHE_TUNING)[0]

    assert repeats.monthly_nano == 50 * COST
    assert tuning.monthly_nano == 60 * COST
    assert tuning.subject == "ttl"
    assert figures_of(tuning)["answered by the cache"] == 77


def test_different_prompts_and_simultaneous_calls_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, prompt_digest=digests("a"))
    traffic(200, step=timedelta(0), prompt_digest="at once")

    assert advice_of() == []


def test_repeats_of_a_failed_call_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(200, step=timedelta(hours=3), prompt_digest=digests("a"), state=AttemptState.RELEASED, cost_nano=0)
    traffic(200, step=timedelta(hours=3), first=START + timedelta(hours=1), prompt_digest=digests("a"))

    assert advice_of() == []


def test_prompts_without_a_digest_and_repeats_after_a_week_give_no_advice(
    traffic: Traffic, advice_of: AdviceOf
) -> None:
    traffic(200)
    traffic(100, step=timedelta(hours=1), prompt_digest=digests("a"))
    traffic(100, step=timedelta(hours=1), first=START + timedelta(days=8), prompt_digest=digests("a"))

    assert advice_of() == []
