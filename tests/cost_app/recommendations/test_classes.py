"""Classification of requests by their messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_app.models import RequestClass
from cost_app.prices.pricing import DEFAULT_OUTPUT_TOKENS
from cost_app.recommendations.classes import classify, fingerprints

SIMPLE, COMPLEX, CREATIVE = RequestClass.SIMPLE, RequestClass.COMPLEX, RequestClass.CREATIVE


def messages_of(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I plan a garden?", SIMPLE),
        ("What is the capital of France?", SIMPLE),
        ("Translate this to French: good morning", SIMPLE),
        ("Tell me about the story of Rome", SIMPLE),
        ("Is this mail spam? Answer yes or no.", SIMPLE),
        ("", SIMPLE),
        ("Write a short poem about the sea", CREATIVE),
        ("Give me three slogans for a bakery", CREATIVE),
        ("Let us brainstorm", CREATIVE),
        ("Write a Python function that sorts a list", COMPLEX),
        ("Why does this fail?\n```\nx = 1\n```", COMPLEX),
        ("Prove that the square root of 2 is irrational", COMPLEX),
        ("Analyse the trade-offs of both designs", COMPLEX),
        ("word " * 1_300, COMPLEX),
    ],
)
def test_class_follows_the_documented_signs(text: str, expected: RequestClass) -> None:
    assert classify(messages_of(text), 100) == expected


def test_large_output_limit_makes_a_request_complex_but_the_default_does_not() -> None:
    assert classify(messages_of("Hello"), 2_001) == COMPLEX
    assert classify(messages_of("Hello"), 2_000) == SIMPLE
    assert classify(messages_of("Hello"), DEFAULT_OUTPUT_TOKENS) == SIMPLE
    assert classify(messages_of("Hello"), 0) == SIMPLE


def test_a_valid_client_classification_takes_precedence() -> None:
    assert classify(messages_of("Write a poem"), 100, "complex") == COMPLEX
    assert classify(messages_of("Write a poem"), 100, "urgent") == CREATIVE


def test_keywords_come_from_the_last_turn_and_length_from_all_turns() -> None:
    earlier = [{"role": "user", "content": "Write a poem"}, {"role": "assistant", "content": "Roses are red."}]
    assert classify([*earlier, {"role": "user", "content": "Thanks!"}], 100) == SIMPLE
    assert classify([*earlier * 7, {"role": "user", "content": "Thanks!"}], 100) == COMPLEX


def test_length_is_counted_in_bytes() -> None:
    assert classify(messages_of("\N{SNOWMAN}" * 1_990), 100) == SIMPLE
    assert classify(messages_of("\N{SNOWMAN}" * 2_001), 100) == COMPLEX


Messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "name"]),
        st.one_of(st.text(), st.none(), st.lists(st.dictionaries(st.text(), st.text(), max_size=2), max_size=2)),
    ),
    max_size=4,
)


@given(Messages, st.integers(0, 200_000), st.text())
def test_every_message_has_a_class_and_fingerprints(messages: list[dict[str, object]], limit: int, word: str) -> None:
    assert classify(messages, limit, word) in RequestClass.values
    prompt, prefix, length = fingerprints("openai", "gpt-4", messages)
    assert len(prompt) == 16
    assert (len(prefix), length >= 0) == (16 if len(messages) > 1 else 0, True)


def test_fingerprints_distinguish_prompts_and_prefixes() -> None:
    first, second = fingerprints("openai", "gpt-4", messages_of("a")), fingerprints("openai", "gpt-4", messages_of("b"))

    assert first == fingerprints("openai", "gpt-4", messages_of("a"))
    assert first[0] != second[0]
    assert first[1:] == second[1:]
    assert first[2] == len("You are helpful.")
    assert {first[0], first[1]}.isdisjoint(fingerprints("openai", "gpt-4o", messages_of("a"))[:2])


def test_single_turn_has_no_prefix() -> None:
    assert fingerprints("openai", "gpt-4", messages_of("a")[:1])[1:] == ("", 0)
