"""Advice to cache prompt prefixes at the provider."""

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


def test_saving_is_that_of_reads_minus_the_extra_cost_of_writes(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, **LONG)
    traffic(10, usage=USAGE, step=timedelta(days=1), first=NOW - timedelta(days=20), **HAIKU, **LONG)

    (advice,) = advice_of(KIND)

    reads, writes = 999, 11
    assert advice.monthly_nano == reads * PREFIX * 900 - writes * PREFIX * 250
    figures = figures_of(advice)
    assert figures["tokens that could be read from the cache"] == reads * PREFIX
    assert figures["calls that would fill the cache"] == writes
    assert "cache_control" in advice.steps[0]


def test_prefix_that_occurred_once_is_not_counted_as_a_write(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, **LONG)
    traffic(100, usage=USAGE, **HAIKU, prefix_digest=lambda number: f"once{number}", prefix_bytes=40_003)

    (advice,) = advice_of(KIND)

    assert advice.monthly_nano == 999 * PREFIX * 900 - 1 * PREFIX * 250


def test_prefix_is_never_longer_than_the_prompt(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=TokenUsage(input=8_000), step=EVERY_FOUR, **HAIKU, **LONG)

    (advice,) = advice_of(KIND)

    assert figures_of(advice)["tokens that could be read from the cache"] == 999 * 8_000


def test_prefix_already_read_from_the_cache_gives_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    cached = TokenUsage(input=2_000, cache_read=10_000, output=100)
    traffic(1_000, usage=cached, step=EVERY_FOUR, **HAIKU, **LONG)

    assert advice_of(KIND) == []


def test_short_prefixes_and_intervals_above_five_minutes_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **HAIKU, prefix_digest="short", prefix_bytes=4_095)
    traffic(1_000, usage=USAGE, step=timedelta(minutes=5, microseconds=1), **HAIKU, **LONG)

    assert advice_of(KIND) == []


def test_prefix_gives_no_advice_if_cache_reads_cost_as_much_as_input(traffic: Traffic, advice_of: AdviceOf) -> None:
    """The specification's models have one price for all prompt tokens."""
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, **LONG)

    assert advice_of(KIND) == []


def test_missing_write_price_is_not_a_saving(traffic: Traffic, advice_of: AdviceOf) -> None:
    price = add_price("openai", "gpt-x", input=1_000_000_000, cache_read=100_000_000, output=1)
    traffic(1_000, usage=USAGE, step=EVERY_FOUR, provider="openai", model="gpt-x", price=price, **LONG)

    (advice,) = advice_of(KIND)

    assert advice.monthly_nano == 999 * PREFIX * 900
