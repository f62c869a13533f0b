"""Token counts of the providers, read into disjoint classes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.usage import MAX_TOKENS, anthropic_usage, embedding_usage, openai_usage, storable

counts = st.integers(0, 1_000_000)
anything = st.one_of(st.none(), st.booleans(), st.integers(-5, MAX_TOKENS * 2), st.floats(), st.text(max_size=3))


def assert_sound(usage: TokenUsage) -> None:
    classes = [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning]
    assert all(type(value) is int and value >= 0 for value in classes)
    assert usage.reasoning <= usage.output
    assert usage.input + usage.cache_read + usage.cache_write == usage.prompt
    assert usage.total == usage.prompt + usage.output <= MAX_TOKENS


@given(fresh=counts, cached=counts, written=counts, plain=counts, reasoning=counts)
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
    assert_sound(usage)


@given(hit=counts, miss=counts, output=counts)
def test_deepseek_counts_become_disjoint(hit: int, miss: int, output: int) -> None:
    usage = openai_usage(
        {
            "prompt_tokens": hit + miss,
            "completion_tokens": output,
            "prompt_cache_hit_tokens": hit,
            "prompt_cache_miss_tokens": miss,
        }
    )
    assert usage == TokenUsage(input=miss, cache_read=hit, output=output)


@given(fresh=counts, read=counts, written=counts, output=counts)
def test_anthropic_counts_are_disjoint_as_they_come(fresh: int, read: int, written: int, output: int) -> None:
    usage = anthropic_usage(
        {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": output,
        }
    )
    assert usage == TokenUsage(fresh, read, written, output)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": anything,
            "completion_tokens": anything,
            "total_tokens": anything,
            "input_tokens": anything,
            "output_tokens": anything,
            "prompt_cache_hit_tokens": anything,
            "prompt_cache_miss_tokens": anything,
            "cache_read_input_tokens": anything,
            "cache_creation_input_tokens": anything,
            "prompt_tokens_details": st.one_of(anything, st.dictionaries(st.just("cached_tokens"), anything)),
            "completion_tokens_details": st.one_of(anything, st.dictionaries(st.just("reasoning_tokens"), anything)),
        },
    )
)
def test_whatever_comes_the_result_is_sound_or_none(raw: dict[str, Any]) -> None:
    for usage in (openai_usage(raw), anthropic_usage(raw)):
        if usage is not None:
            assert_sound(usage)


GOOD = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "usage",
        {},
        {"prompt_tokens": 10},
        {**GOOD, "prompt_tokens": -1},
        {**GOOD, "prompt_tokens": 10.0},
        {**GOOD, "prompt_tokens": "10"},
        {**GOOD, "prompt_tokens": True},
        {**GOOD, "total_tokens": 16},
        {**GOOD, "prompt_tokens": MAX_TOKENS * 10, "total_tokens": MAX_TOKENS * 10 + 5},
        {**GOOD, "prompt_tokens_details": {"cached_tokens": 11}},
        {**GOOD, "prompt_tokens_details": {"cached_tokens": -1}},
        {**GOOD, "prompt_tokens_details": 3},
        {**GOOD, "completion_tokens_details": {"reasoning_tokens": 6}},
        {**GOOD, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
        {**GOOD, "prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
    ],
)
def test_counts_that_make_no_sense_are_none(raw: object) -> None:
    assert openai_usage(GOOD) == TokenUsage(input=10, output=5)
    assert openai_usage(raw) is None


def test_nulls_count_as_left_out() -> None:
    raw = {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": None, "output_tokens_details": None}
    assert anthropic_usage(raw) == TokenUsage(input=3, output=4)


@pytest.mark.parametrize(
    "raw",
    [None, [1], {"a": float("nan")}, {"a": "\x00"}, {"a": "\ud800"}, {"a": "x" * 5000}],
)
def test_raw_counts_that_a_database_refuses_are_not_kept(raw: object) -> None:
    assert storable(raw) == {}
    assert storable(GOOD) == GOOD


@given(st.integers(0, MAX_TOKENS))
def test_an_embedding_has_input_alone(count: int) -> None:
    assert embedding_usage({"prompt_tokens": count, "total_tokens": count}) == TokenUsage(input=count)


@pytest.mark.parametrize("raw", [None, [], {}, {"prompt_tokens": -1}, {"prompt_tokens": 5, "total_tokens": 6}])
def test_counts_of_an_embedding_that_make_no_sense_are_none(raw: object) -> None:
    assert embedding_usage(raw) is None
