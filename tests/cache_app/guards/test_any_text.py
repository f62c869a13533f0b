"""The guards accept any text: random Unicode, long texts, and inputs that are slow for regular expressions."""

import random
from collections.abc import Iterator

import pytest

from cache_app.embedding.base import Scale
from cache_app.guards.decision import decide
from cache_app.guards.parsing import LONGEST, Parsed, parse
from tests.support.examples import examples

SCALE = Scale(edge=0.85, clear=0.90, near=0.75)
PAIRS = examples(1_500, 20_000)
ALPHABETS = (
    "abc de ",
    "aA1 .,-_/'\"",
    "*_`#<>=+|^~@$%&{}[]()\\!?;:",
    "äéñßøß ÀÉ",
    "дарен ",
    "العربية ",
    "日本語ですか。",
    "한국어는 ",
    "हिन्दी ",
    "ไทย",
    "👍👎👩\u200d⚕️🏽🇫🇷♀♂✅",
    "\u200b\u200c\u200d\u00ad\u202e\ufe0f\U000e0067",
    "\x00\x1b\ud800\n\t",
    "①½²ⅣＡ∑≤≠",
)
HARD = ("1,", "a-1", "'a", '"a', "a_", "*a*", "one ", "a.", "--a", "<b", "from to ", "Q1 ", "«a", ";a", "(a", "9")
HARD_NUMBERS = ("hundred ", "million ", "two hundred and ", "1e9 ", "½", "9 trillion ")
WORDS = ("how", "not", "US", "us", "2024", "scope 1", "nicht", "je", "pas", "è", "x - y", "5 kg", "Paris", "🇫🇷", "-r")


def random_text(seed: random.Random) -> str:
    kind = seed.random()
    if kind < 0.4:
        return " ".join(seed.choices(WORDS, k=seed.randint(0, 6)))
    if kind < 0.5:
        return seed.choice(HARD) * seed.randint(1, 12)
    if kind < 0.51:
        return seed.choice(HARD_NUMBERS) * seed.choice((1, 20, 160))
    return "".join(seed.choices("".join(seed.sample(ALPHABETS, 2)), k=seed.randint(0, 14)))


def pairs() -> Iterator[tuple[str, str]]:
    seed = random.Random(7)
    for _ in range(PAIRS):
        one = random_text(seed)
        yield one, seed.choice((random_text(seed), one + seed.choice("?! \u200bx👍"), one[::-1], one.upper()))


def test_any_pair_gets_the_same_verdict_in_both_directions_except_for_additions() -> None:
    for asked, cached in pairs():
        verdict, swapped = (decide(one, other, 0.97, 0.85, SCALE) for one, other in ((asked, cached), (cached, asked)))
        if "addition" not in (verdict.guard, swapped.guard):
            assert (verdict.serve, verdict.guard) == (swapped.serve, swapped.guard), (asked, cached)
        assert "error" not in (verdict.guard, swapped.guard), (asked, cached)
        assert len(verdict.reason) <= 200


def test_parsed_text_is_bounded_after_unicode_normalization() -> None:
    for text in ("\ufdfa" * LONGEST, "≠" * LONGEST, *(each * LONGEST for each in (*HARD, *HARD_NUMBERS))):
        assert len(parse(text).text) <= LONGEST
        verdict = decide(text[:LONGEST], text[: LONGEST - 1] + "z", 0.80, 0.85, SCALE)
        assert not verdict.serve
        assert verdict.guard != "error", text[:20]


def test_a_number_too_large_for_a_float_matches_no_other() -> None:
    huge = "hundred " * 156
    assert (
        decide(f"What do {huge}coins weigh?", f"What do {huge}hundred coins weigh?", 0.97, 0.85, SCALE).guard
        == "numbers"
    )


def test_an_exception_in_a_guard_refuses_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_text: str) -> Parsed:
        raise ArithmeticError

    monkeypatch.setattr("cache_app.guards.decision.parse", fail)
    verdict = decide("What is a queue?", "What is a line?", 0.99, 0.85, SCALE)
    assert (verdict.serve, verdict.guard) == (False, "error")


def test_parsed_texts_are_kept_until_4096_others_were_parsed() -> None:
    parse.cache_clear()
    first, second = parse("q"), parse("r")
    for number in range(4_094):
        parse(str(number))
    assert parse("q") is first
    parse("s")
    assert parse("q") is first
    assert parse("r") is not second
