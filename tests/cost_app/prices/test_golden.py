"""Costs of calls, compared with genai-prices for every shared model and with hand-calculated amounts."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from aiinfra.money import NANO, dollars
from aiinfra.providers.base import TokenUsage
from aiinfra.providers.usage import anthropic_usage, openai_usage
from cost_app.models import ModelPrice
from cost_app.prices.lookup import price_of
from cost_app.prices.pricing import cost_of
from cost_app.prices.source import CONTEXTS

WEDNESDAY_NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
WEDNESDAY_PEAK = datetime(2026, 11, 18, 2, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 21, 2, tzinfo=UTC)

USAGES = [
    TokenUsage(input=1_000, output=200),
    TokenUsage(input=1, output=1),
    TokenUsage(input=333, cache_read=4_667, output=89, reasoning=50),
    TokenUsage(input=12, cache_write=3_001, output=7),
    TokenUsage(input=77, cache_read=1_024, cache_write=513, output=4_096, reasoning=4_000),
    TokenUsage(input=150_001, output=1_000),
    TokenUsage(input=12, cache_write=100, cache_write_1h=3_001, output=7),
    TokenUsage(input=12, cache_write_1h=300_001, output=7),
    TokenUsage(input=100_000, cache_read=150_000, cache_write=50_001, output=12_345),
]
EXCEPTIONS = {
    ("openai", "gpt-4"): (WEDNESDAY_NOON, "the specification says 10 and 30 dollars, OpenAI takes 30 and 60"),
    ("deepseek", "deepseek-chat"): (
        WEDNESDAY_NOON,
        "the specification's price; the package has hours that ended in 2025",
    ),
    ("deepseek", "deepseek-flash"): (SATURDAY, "the package has no weekdays; DeepSeek has no peak at weekends"),
    ("deepseek", "deepseek-v4-flash"): (SATURDAY, "the package has no weekdays; DeepSeek has no peak at weekends"),
    ("deepseek", "deepseek-v4-pro"): (SATURDAY, "the package has no weekdays; DeepSeek has no peak at weekends"),
}
"""Models whose price differs from the package's, the time at which it differs, and why."""


def package_cost(price: ModelPrice, usage: TokenUsage, at: datetime) -> int:
    """The cost according to the package, rounded up to a nano-dollar."""
    counted = Usage(
        input_tokens=usage.prompt,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write + usage.cache_write_1h,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output,
    )
    context = CONTEXTS[price.tier]  # type: ignore[index]
    found = calc_price(
        counted, price.model, provider_id=price.provider, genai_request_timestamp=at, price_context=context
    )
    return math.ceil(found.total_price * NANO)


def disagreements(price: ModelPrice, at: datetime) -> Iterator[tuple[str, TokenUsage, int, int]]:
    """Usages with different costs. `price` selects model and tier; `price_of` selects the version."""
    ours = price_of(price.provider, price.model, tier=price.tier, at=at)
    has_hour_writes = price.provider == "anthropic" and ours.cache_write != ours.input
    for usage in USAGES:
        if usage.cache_write_1h and not has_hour_writes:
            continue
        if (cost := cost_of(usage, ours)) != (expected := package_cost(price, usage, at)):
            yield f"{price.provider}/{price.model} {price.tier} at {at}", usage, cost, expected


def is_exception(price: ModelPrice, at: datetime) -> bool:
    differs_at, _ = EXCEPTIONS.get((price.provider, price.model), (None, ""))
    return differs_at is not None and differs_at in (at, WEDNESDAY_NOON)


@pytest.mark.usefixtures("imported")
def test_every_shared_model_costs_the_same_as_in_genai_prices() -> None:
    versions = list(ModelPrice.objects.filter(window_name=""))
    assert len({(each.provider, each.model) for each in versions}) > 90
    assert {each.tier for each in versions} == set(CONTEXTS)
    wrong = []
    for version in versions:
        since = version.effective_from + timedelta(hours=12)
        for at in {since, WEDNESDAY_NOON}:
            if not is_exception(version, at):
                wrong += disagreements(version, at)
    assert wrong == []


@pytest.mark.usefixtures("imported")
def test_the_comparison_covers_long_prompts_and_history() -> None:
    assert ModelPrice.objects.filter(tier="batch").exclude(long_prompts=[]).exists()
    assert ModelPrice.objects.filter(model="o3", effective_to__isnull=False).exists()
    june = datetime(2025, 6, 9, tzinfo=UTC)
    million = TokenUsage(input=1_000_000, output=1_000_000)
    assert dollars(cost_of(million, price_of("openai", "o3", at=june))) == "50.00"
    assert dollars(cost_of(million, price_of("openai", "o3", at=WEDNESDAY_NOON))) == "10.00"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_each_listed_exception_differs_from_the_package(name: tuple[str, str]) -> None:
    provider, model = name
    at, _ = EXCEPTIONS[name]
    assert list(disagreements(price_of(provider, model, at=at), at))


@pytest.mark.parametrize("model", ["deepseek-flash", "deepseek-v4-flash", "deepseek-v4-pro"])
@pytest.mark.parametrize("at", [WEDNESDAY_NOON, WEDNESDAY_PEAK])
def test_manual_deepseek_prices_match_the_package_on_working_days(model: str, at: datetime) -> None:
    assert list(disagreements(price_of("deepseek", model, at=at), at)) == []


OPENAI = {
    "prompt_tokens": 2_006,
    "completion_tokens": 300,
    "total_tokens": 2_306,
    "prompt_tokens_details": {"cached_tokens": 1_920, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 192, "accepted_prediction_tokens": 0},
}
OPENAI_WRITTEN = {**OPENAI, "prompt_tokens_details": {"cached_tokens": 1_000, "cache_write_tokens": 1_000}}
DEEPSEEK = {
    "prompt_tokens": 1_000,
    "completion_tokens": 200,
    "total_tokens": 1_200,
    "prompt_cache_hit_tokens": 700,
    "prompt_cache_miss_tokens": 300,
    "completion_tokens_details": {"reasoning_tokens": 150},
}
ANTHROPIC = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188_086,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 188_086, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 393,
    "service_tier": "standard",
}
ANTHROPIC_READ = {
    **ANTHROPIC,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 188_086,
    "cache_creation": {},
}
ANTHROPIC_LONG = {**ANTHROPIC_READ, "input_tokens": 20_000}
SPECIFICATION = {"prompt_tokens": 100, "completion_tokens": 150, "total_tokens": 250}


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize(
    ("provider", "model", "raw", "cost"),
    [
        ("deepseek", "deepseek-chat", SPECIFICATION, "0.000056"),
        ("openai", "gpt-4", SPECIFICATION, "0.0055"),
        ("openai", "gpt-3.5-turbo", SPECIFICATION, "0.000275"),
        # 86 x 2.50 + 1,920 x 1.25 + 300 x 10
        ("openai", "gpt-4o", OPENAI, "0.005615"),
        # writes cost as much as input: 6 x 2.50 + 1,000 x 1.25 + 1,000 x 2.50 + 300 x 10
        ("openai", "gpt-4o", OPENAI_WRITTEN, "0.006765"),
        # reasoning is part of the output: 86 x 2 + 1,920 x 0.50 + 300 x 8
        ("openai", "o3", OPENAI, "0.003532"),
        # 300 x 0.15 + 700 x 0.003 + 200 x 0.60
        ("deepseek", "deepseek-v4-flash", DEEPSEEK, "0.0001671"),
        # 300 x 0.66 + 700 x 0.022 + 200 x 1.98
        ("deepseek", "deepseek-v4-pro", DEEPSEEK, "0.0006094"),
        # 21 x 3 + 188,086 x 3.75 + 393 x 15
        ("anthropic", "claude-sonnet-4-5", ANTHROPIC, "0.7112805"),
        # 21 x 3 + 188,086 x 0.30 + 393 x 15
        ("anthropic", "claude-sonnet-4-5", ANTHROPIC_READ, "0.0623838"),
        # above 200,000 tokens: 20,000 x 6 + 188,086 x 0.60 + 393 x 22.50
        ("anthropic", "claude-sonnet-4-5", ANTHROPIC_LONG, "0.2416941"),
        # 21 x 1 + 188,086 x 1.25 + 393 x 5
        ("anthropic", "claude-haiku-4-5", ANTHROPIC, "0.2370935"),
    ],
)  # fmt: skip
def test_provider_usage_gives_the_hand_calculated_cost(
    provider: str, model: str, raw: dict[str, Any], cost: str
) -> None:
    usage = (anthropic_usage if provider == "anthropic" else openai_usage)(raw)
    assert usage is not None
    assert dollars(cost_of(usage, price_of(provider, model, at=WEDNESDAY_NOON))) == cost


@pytest.mark.parametrize(("at", "cost"), [(WEDNESDAY_PEAK, 334_200), (SATURDAY, 167_100)])
def test_deepseek_calls_cost_twice_as_much_in_peak_hours(at: datetime, cost: int) -> None:
    usage = openai_usage(DEEPSEEK)
    assert usage is not None
    assert cost_of(usage, price_of("deepseek", "deepseek-v4-flash", at=at)) == cost
