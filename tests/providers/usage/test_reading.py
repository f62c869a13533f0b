"""Reading the token counts of providers into disjoint classes."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.usage import (
    TOKENS_MAX,
    anthropic_usage,
    embedding_usage,
    openai_usage,
    spellings,
    storable,
    usage_again,
)
from cost_app.models import ModelPrice
from cost_app.prices.pricing import cost_of
from tests.providers.usage.shape import PRICES, Shape
from tests.providers.usage.shapes import SHAPES

counts = st.integers(0, 1_000_000)
sent = st.integers(1, 1_000_000)
PRICE = ModelPrice(**{name: amount * 1_000_000 for name, amount in PRICES.items()})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_format_is_read_with_the_right_cost(shape: Shape) -> None:
    usage = openai_usage(shape.raw)
    assert usage == shape.usage
    if usage and shape.nano is not None:
        assert cost_of(usage, PRICE) == shape.nano


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_stored_raw_usage_is_read_like_the_original(shape: Shape) -> None:
    assert usage_again("fake", storable(shape.raw)) == shape.usage


@given(fresh=sent, cached=counts, written=counts, plain=sent, reasoning=counts)
def test_openai_counts_become_disjoint_and_add_up(
    fresh: int, cached: int, written: int, plain: int, reasoning: int
) -> None:
    prompt, output = fresh + cached + written, plain + reasoning
    usage = openai_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    assert usage == TokenUsage(fresh, cached, written, output, reasoning)


@given(fresh=sent, read=counts, written=counts, hour=counts, output=sent)
def test_anthropic_counts_are_disjoint_as_they_come(
    fresh: int, read: int, written: int, hour: int, output: int
) -> None:
    usage = anthropic_usage(
        {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written + hour,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": hour},
            "output_tokens": output,
            "service_tier": "batch",
        }
    )
    assert usage == TokenUsage(fresh, read, written, output, cache_write_1h=hour, tier="batch")


def test_fully_cached_prompt_has_no_other_input_tokens() -> None:
    raw = {"input_tokens": 0, "cache_read_input_tokens": 20, "output_tokens": 4, "output_tokens_details": None}
    assert anthropic_usage(raw) == TokenUsage(cache_read=20, output=4)


def test_missing_answer_may_have_no_output_tokens() -> None:
    raw = {"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 20}
    assert openai_usage(raw, answered=False) == TokenUsage(input=20)
    assert openai_usage(raw, answered=True) is None


def test_gateway_with_anthropic_counts_is_read_as_anthropic() -> None:
    raw = {"input_tokens": 12, "cache_read_input_tokens": 8, "output_tokens": 10}
    assert openai_usage(raw) == TokenUsage(input=12, cache_read=8, output=10)


@given(st.integers(1, TOKENS_MAX))
def test_an_embedding_has_input_alone(count: int) -> None:
    assert embedding_usage({"prompt_tokens": count, "total_tokens": count}) == TokenUsage(input=count)


@pytest.mark.parametrize(
    "raw", [None, [], {}, {"prompt_tokens": 0}, {"prompt_tokens": -1}, {"prompt_tokens": 5, "total_tokens": 6}]
)
def test_invalid_embedding_counts_are_none(raw: object) -> None:
    assert embedding_usage(raw) is None


PATHS = (
    *(path for each in spellings.DIALECTS for path in (each.prompt, each.output, each.total) if path),
    *(path for each in spellings.DIALECTS for path in (each.also_prompt, each.also_output) if path),
    *spellings.CACHE_READ,
    spellings.CACHE_MISS,
    *spellings.CACHE_WRITE,
    *spellings.CACHE_WRITE_5M,
    *spellings.CACHE_WRITE_1H,
    *spellings.REASONING,
    *spellings.TOOL_USES,
    *spellings.TOOL_COUNTS,
    *spellings.COSTS,
    spellings.UPSTREAM_COST,
    spellings.OWN_KEY,
    spellings.TICKS,
    spellings.TIER,
    "prompt_tokens_details",
    "completion_tokens_details",
)
JUNK = (None, True, False, -1, 0.5, float("nan"), float("inf"), "", "x", "10", "-3", 10**30, [], {}, [1], {"a": 1})


def _value(source: random.Random) -> Any:
    """Mostly small counts that may fit together, and some invalid ones."""
    if source.random() < 0.12:
        return source.choice(JUNK)
    number = source.choice([0, 1, 2, 3, 5, 10, 20, 30, 80, source.randrange(TOKENS_MAX * 2)])
    return source.choice([number, number, number, float(number), str(number)])


def _generated(source: random.Random) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    paths = ["prompt_tokens", "completion_tokens", "total_tokens"] if source.random() < 0.6 else []
    for path in [*paths, *source.sample(PATHS, source.randrange(7))]:
        *parents, name = path.split(".")
        place = raw
        for parent in parents:
            inner = place.get(parent)
            place[parent] = place = inner if isinstance(inner, dict) else {}
        place[name] = _value(source)
    return raw


def _assert_possible(usage: TokenUsage) -> None:
    classes = [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning]
    assert all(type(value) is int and value >= 0 for value in classes)
    assert usage.prompt > 0
    assert usage.output > 0
    assert usage.reasoning <= usage.output
    assert usage.total <= TOKENS_MAX
    assert all(type(uses) is int and 0 < uses <= 10_000 for uses in usage.tool_uses.values())
    assert len(usage.tier) in range(1, 17)
    assert usage.reported_nano is None or 0 <= usage.reported_nano <= 100_000 * 10**9


def test_20000_generated_formats_neither_fail_nor_give_impossible_counts() -> None:
    source, accepted = random.Random(20_261_127), 0
    for _ in range(20_000):
        raw = _generated(source)
        storable(raw)
        chat, message = openai_usage(raw), anthropic_usage(raw)
        for usage in filter(None, (chat, message)):
            accepted += 1
            _assert_possible(usage)
        if chat and _speaks_chat(raw) and (total := int(float(raw.get("total_tokens") or 0))):
            assert chat.total == total, raw
    assert accepted > 1_000


def _speaks_chat(raw: dict[str, Any]) -> bool:
    """Whether these are the counts of a chat completion, whose total covers all of them."""
    return "citation_tokens" not in raw and any(
        float(raw.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
    )
