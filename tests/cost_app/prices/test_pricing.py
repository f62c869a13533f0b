"""Conversion of tokens to nano-dollars, and the upper bound of a call's cost."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.money import dollars
from aiinfra.providers import tokens as tokens_module
from aiinfra.providers.base import TokenUsage
from aiinfra.providers.tokens import count_tokens
from cost_app.models import BoundMode, ModelPrice
from cost_app.prices.lookup import price_of
from cost_app.prices.pricing import bound_of, cost_of
from cost_app.prices.prompt_size import TOKENS_PER_MESSAGE

amounts = st.integers(0, 10**12)
CLASSES = ("input", "cache_read", "cache_write", "output")
short = dict.fromkeys(CLASSES, amounts)
hour = st.none() | amounts
steps = st.lists(
    st.fixed_dictionaries({"above": st.integers(0, 300), "cache_write_1h": hour, **short}),
    max_size=3,
    unique_by=lambda step: step["above"],
).map(lambda found: sorted(found, key=lambda step: step["above"]))
prices = st.builds(ModelPrice, cache_write_1h=hour, long_prompts=steps, **short)
tokens = st.integers(0, 10**7)
contents = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "nano"),
    [
        ("deepseek", "deepseek-chat", TokenUsage(input=100, output=150), 56_000),
        ("deepseek", "deepseek-chat", TokenUsage(input=1_000_000, output=1_000_000), 420_000_000),
        ("openai", "gpt-4", TokenUsage(input=100, output=150), 5_500_000),
        ("openai", "gpt-3.5-turbo", TokenUsage(input=100, output=150), 275_000),
        ("openai", "gpt-3.5-turbo", TokenUsage(input=40, cache_read=60, output=150), 275_000),
        ("anthropic", "claude-haiku-4-5", TokenUsage(input=1000), 1_000_000),
        ("anthropic", "claude-haiku-4-5", TokenUsage(cache_read=1000), 100_000),
        ("anthropic", "claude-haiku-4-5", TokenUsage(cache_write=1000), 1_250_000),
        ("anthropic", "claude-haiku-4-5", TokenUsage(output=1000, reasoning=700), 5_000_000),
        ("anthropic", "claude-haiku-4-5", TokenUsage(1, 2, 3, 4), 1_000 + 200 + 3_750 + 20_000),
        ("openai", "gpt-4", TokenUsage(), 0),
    ],
)
def test_costs_at_shipped_prices(db: None, provider: str, model: str, usage: TokenUsage, nano: int) -> None:
    assert cost_of(usage, price_of(provider, model)) == nano


def test_example_from_the_specification_in_dollars() -> None:
    assert dollars(56_000) == "0.000056"


def test_sum_is_rounded_up_once() -> None:
    price = ModelPrice(input=1, cache_read=1, cache_write=1, output=1)
    assert cost_of(TokenUsage(1, 1, 1, 1), price) == 1
    assert cost_of(TokenUsage(999_999, 0, 0, 1), price) == 1
    assert cost_of(TokenUsage(1_000_000, 0, 0, 1), price) == 2


@given(usage=st.builds(TokenUsage, tokens, tokens, tokens, tokens), price=prices)
def test_the_cost_is_the_exact_sum_rounded_up(usage: TokenUsage, price: ModelPrice) -> None:
    reached = [step for step in price.long_prompts if usage.prompt > step["above"]]
    unit = reached[-1] if reached else {name: getattr(price, name) for name in CLASSES}
    exact_millionths = sum(getattr(usage, name) * unit[name] for name in CLASSES)
    cost = cost_of(usage, price)
    assert type(cost) is int
    assert 0 <= cost * 1_000_000 - exact_millionths < 1_000_000


HOUR_CACHE = "{'cache_control': {'type': 'ephemeral', 'ttl': '1h'}}"
"""A content block with a 1-hour cache, as it appears in a message."""


@given(
    ahead=st.lists(prices, min_size=1, max_size=3),
    texts=st.lists(contents, min_size=1, max_size=4),
    by_hour=st.booleans(),
    data=st.data(),
)
def test_no_usage_costs_more_than_the_bound_at_any_upcoming_price(
    ahead: list[ModelPrice], texts: list[str], by_hour: bool, data: st.DataObject
) -> None:
    texts = [*texts, HOUR_CACHE] if by_hour else texts
    messages = [{"role": "user", "content": text} for text in texts]
    most_prompt = sum(len(text.encode()) + TOKENS_PER_MESSAGE for text in texts)
    max_tokens = data.draw(st.integers(1, 131_072))
    prompt = data.draw(st.integers(0, most_prompt))
    cache_read = data.draw(st.integers(0, prompt))
    cache_write = data.draw(st.integers(0, prompt - cache_read))
    hour_write = data.draw(st.integers(0, cache_write)) if by_hour else 0
    output = data.draw(st.integers(0, max_tokens))
    fresh = prompt - cache_read - cache_write
    usage = TokenUsage(fresh, cache_read, cache_write - hour_write, output, cache_write_1h=hour_write)
    bound = bound_of(messages, max_tokens, ahead)
    assert all(cost_of(usage, price) <= bound for price in ahead)


@given(
    usage=st.builds(TokenUsage, tokens, tokens, tokens, tokens, cache_write_1h=tokens),
    uses=st.dictionaries(st.sampled_from(["web_search", "file_search", "shell"]), st.integers(0, 10**6)),
    fees=st.dictionaries(st.sampled_from(["web_search", "file_search"]), st.integers(0, 10**12)),
    price=prices,
)
def test_tools_add_exactly_their_fees(
    usage: TokenUsage, uses: dict[str, int], fees: dict[str, int], price: ModelPrice
) -> None:
    cost = cost_of(replace(usage, tool_uses=uses), price, fees=fees)
    assert cost == cost_of(usage, price) + sum(count * fees.get(tool, 0) for tool, count in uses.items())


PER_TOKEN = ModelPrice(input=1_000_000, cache_read=0, cache_write=0, output=0)


def bound_in_tokens(*messages: dict[str, Any]) -> int:
    return bound_of(messages, 0, [PER_TOKEN])


def test_bound_counts_utf8_bytes() -> None:
    def more(text: str) -> int:
        return bound_in_tokens({"content": text}) - bound_in_tokens({"content": ""})

    assert [more("abc"), more("äöü"), more("漢字"), more("👩‍🚀")] == [3, 6, 6, 11]


def test_bound_counts_everything_in_a_message() -> None:
    """Python callers may send tool calls, which are billed as part of the prompt."""
    arguments = '{"city": "' + "x" * 1_000 + '"}'
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": arguments}}]}
    assert bound_in_tokens(message) > 1_000
    assert bound_in_tokens({"role": "user", "content": None, "name": "n" * 64}) > 64


def test_the_bound_uses_the_most_expensive_prompt_class(db: None) -> None:
    price = price_of("anthropic", "claude-haiku-4-5")
    most_expensive = TokenUsage(cache_write=2 + TOKENS_PER_MESSAGE, output=10)
    assert bound_of([{"content": "Hi"}], 10, [price]) == cost_of(most_expensive, price)


LONG = ModelPrice(
    input=1_000_000, cache_read=1_000_000, cache_write=1_000_000, output=1_000_000,
    long_prompts=[{
        "above": 1_000, "input": 2_000_000, "cache_read": 3_000_000, "cache_write": 4_000_000, "output": 5_000_000
    }],
)  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (TokenUsage(1_000, output=10), 1_010),
        (TokenUsage(1_001, output=10), 2_002 + 50),
        (TokenUsage(500, cache_read=300, cache_write=201, output=1), 1_000 + 900 + 804 + 5),
        (TokenUsage(500, cache_read=300, cache_write=200, output=5_000), 6_000),
    ],
)
def test_prompt_above_the_threshold_raises_the_price_of_every_token(usage: TokenUsage, nano: int) -> None:
    assert cost_of(usage, LONG) == nano


def test_the_bound_uses_long_context_prices_only_for_possible_lengths() -> None:
    fits = [{"content": "x" * (1_000 - TOKENS_PER_MESSAGE)}]
    longer = [{"content": "x" * (1_001 - TOKENS_PER_MESSAGE)}]
    assert bound_of(fits, 10, [LONG]) == 1_010
    assert bound_of(longer, 10, [LONG]) == 4 * 1_001 + 50


PROSE = [{"role": "user", "content": "How many tokens does a plain English sentence have? " * 100}]


def test_the_normal_bound_counts_tokens_and_adds_a_tenth_and_64() -> None:
    counted = count_tokens("user") + count_tokens(PROSE[0]["content"])
    assert bound_of(PROSE, 0, [PER_TOKEN], BoundMode.NORMAL) == -(-counted * 11 // 10) + 64
    assert bound_of(PROSE, 0, [PER_TOKEN], BoundMode.NORMAL) * 4 < bound_of(PROSE, 0, [PER_TOKEN])


def test_the_normal_bound_never_exceeds_the_strict_one() -> None:
    tiny = [{"content": "Hi"}]
    assert bound_of(tiny, 0, [PER_TOKEN], BoundMode.NORMAL) == bound_of(tiny, 0, [PER_TOKEN])


def test_normal_bound_without_a_tokenizer_equals_the_strict_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "has_tokenizer", lambda: False)
    assert bound_of(PROSE, 0, [PER_TOKEN], BoundMode.NORMAL) == bound_of(PROSE, 0, [PER_TOKEN])


def test_1h_write_uses_its_own_price_or_twice_the_input_price() -> None:
    usage = TokenUsage(cache_write_1h=1_000_000)
    columns = {"input": 3, "cache_read": 0, "cache_write": 4, "output": 0}
    assert cost_of(usage, ModelPrice(**columns, cache_write_1h=5)) == 5
    assert cost_of(usage, ModelPrice(**columns)) == 6
    assert cost_of(usage, ModelPrice(**columns | {"cache_write": 7})) == 7


def test_the_bound_includes_1h_writes_if_a_message_requests_them() -> None:
    price = ModelPrice(input=1_000_000, cache_read=0, cache_write=1_250_000, output=0)
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages = [{"role": "user", "content": [block]}]
    prompt = bound_of(messages, 0, [PER_TOKEN]) // 2
    assert bound_of(messages, 0, [price]) == cost_of(TokenUsage(cache_write_1h=prompt), price)


@pytest.mark.parametrize(("prompt", "nano"), [(32, 32), (33, 66), (128, 256), (129, 387), (257, 1_028)])
def test_each_prompt_length_has_its_own_price(prompt: int, nano: int) -> None:
    steps = [
        {"above": above, "input": dollars_, "cache_read": 0, "cache_write": 0, "output": 0}
        for above, dollars_ in ((32, 2_000_000), (128, 3_000_000), (256, 4_000_000))
    ]
    price = ModelPrice(input=1_000_000, cache_read=0, cache_write=0, output=0, long_prompts=steps)
    assert cost_of(TokenUsage(prompt), price) == nano


def test_tool_fees_are_added_before_rounding() -> None:
    price = ModelPrice(input=1, cache_read=1, cache_write=1, output=1)
    usage = TokenUsage(1, output=1, tool_uses={"web_search": 3, "free": 2})
    assert cost_of(usage, price, fees={"web_search": 10_000_000}) == 30_000_001


@given(usage=st.builds(TokenUsage, tokens, tokens, tokens, tokens), extra=st.integers(0, 1_000))
def test_more_output_never_costs_less(usage: TokenUsage, extra: int) -> None:
    more = TokenUsage(usage.input, usage.cache_read, usage.cache_write, usage.output + extra)
    assert cost_of(more, LONG) >= cost_of(usage, LONG)
