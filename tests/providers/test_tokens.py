"""Counting tokens."""

import sys
from collections.abc import Iterator

import pytest

from aiinfra.providers import tokens
from aiinfra.providers.tokens import count_tokens, has_tokenizer


@pytest.fixture
def no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    tokens._counter.cache_clear()
    yield
    tokens._counter.cache_clear()


@pytest.mark.parametrize(("text", "count"), [("", 0), ("hello world", 2), ("Hello, world!", 4)])
def test_o200k_tokens_are_counted(text: str, count: int) -> None:
    assert count_tokens(text) == count


def test_text_too_long_for_the_tokenizer_is_counted() -> None:
    assert count_tokens("I walk, and it is a dog.\n" * 100_000) == pytest.approx(900_000, rel=0.001)


def test_invalid_unicode_is_counted() -> None:
    assert count_tokens("\ud800 \x00 ok") > 0


@pytest.mark.usefixtures("no_tokenizer")
@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("abc", 1), ("abcd", 2), ("äöü", 2), ("\ud800", 1)])
def test_estimate_without_the_tokenizer_is_a_third_of_the_bytes_rounded_up(text: str, count: int) -> None:
    assert count_tokens(text) == count


def test_has_tokenizer_is_true_with_the_tokenizer() -> None:
    assert has_tokenizer()


@pytest.mark.usefixtures("no_tokenizer")
def test_has_tokenizer_is_false_without_the_tokenizer() -> None:
    assert not has_tokenizer()
