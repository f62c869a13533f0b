"""Beginnings of prompts that the provider could have cached."""

from datetime import timedelta

from aiinfra.providers.base import TokenUsage
from cost_app.models import RecommendationKind
from tests.cost_app.recommendations.conftest import NOW, AdviceOf, Traffic, add_price, figures_of

KIND = RecommendationKind.PROMPT_CACHING
HAIKU = {"provider": "anthropic", "model": "claude-haiku-4-5"}
"""$1 input, $0.10 cache read, $1.25 cache write."""
USAGE = TokenUsage(input=12_000, output=100)
LONG = {"prefix_digest": "manual", "prefix_bytes": 40_003}
PREFIX = 10_000
EVERY_FOUR = timedelta(minutes=4)


def test_saves_the_reads_less_what_writing_costs_more(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, **LONG)
    traffic(10, usage=USAGE, step=timedelta(days=1), first=NOW - timedelta(days=20), **HAIKU, **LONG)

    (advice,) = advice_of(KIND)

    reads, writes = 999, 11
    assert advice.monthly_nano == reads * PREFIX * 900 - writes * PREFIX * 250
    figures = figures_of(advice)
    assert figures["tokens that could be read from the cache"] == reads * PREFIX
    assert figures["calls that would fill the cache"] == writes
    assert "cache_control" in advice.steps[0]


def test_a_prefix_that_occurred_once_is_not_written(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, **LONG)
    traffic(100, usage=USAGE, **HAIKU, prefix_digest=lambda number: f"once{number}", prefix_bytes=40_003)

    (advice,) = advice_of(KIND)

    assert advice.monthly_nano == 999 * PREFIX * 900 - 1 * PREFIX * 250


def test_no_prefix_is_longer_than_the_prompt_was(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=TokenUsage(input=8_000), step=EVERY_FOUR, **HAIKU, **LONG)

    (advice,) = advice_of(KIND)

    assert figures_of(advice)["tokens that could be read from the cache"] == 999 * 8_000


def test_silent_if_the_cache_is_already_read(traffic: Traffic, advice_of: AdviceOf) -> None:
    cached = TokenUsage(input=2_000, cache_read=10_000, output=100)
    traffic(1_000, usage=cached, step=EVERY_FOUR, **HAIKU, **LONG)

    assert advice_of(KIND) == []


def test_silent_for_short_beginnings_and_for_pauses_of_more_than_five_minutes(
    traffic: Traffic, advice_of: AdviceOf
) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, prefix_digest="short", prefix_bytes=4_095)
    traffic(1_000, usage=USAGE, step=timedelta(minutes=5, microseconds=1), **HAIKU, **LONG)

    assert advice_of(KIND) == []


def test_silent_where_reading_the_cache_costs_as_much(traffic: Traffic, advice_of: AdviceOf) -> None:
    """The specification's models have one price for every prompt token."""
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **LONG)

    assert advice_of(KIND) == []


def test_a_missing_price_of_writes_is_no_saving(traffic: Traffic, advice_of: AdviceOf) -> None:
    price = add_price("openai", "gpt-x", input=1_000_000_000, cache_read=100_000_000, output=1)
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, provider="openai", model="gpt-x", price=price, **LONG)

    (advice,) = advice_of(KIND)

    assert advice.monthly_nano == 999 * PREFIX * 900
