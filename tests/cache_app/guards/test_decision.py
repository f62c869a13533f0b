"""Verdicts: thresholds, vetoes, strict rules, and languages, also for random texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_app.embedding.base import Scale
from cache_app.guards.decision import Verdict, decide
from cache_app.guards.language import ENGLISH, UNCLEAR, languages_of
from cache_app.guards.objection import only_one

SCALE = Scale(edge=0.85, clear=0.90, near=0.75)
GUARDS = {
    "",
    "numbers",
    "dates",
    "symbols",
    "spelling",
    "wording",
    "language",
    "codes",
    "negation",
    "antonyms",
    "entities",
    "order",
    "strict",
    "addition",
    "threshold",
}
WORDS = (
    *("how", "do", "I", "not", "enable", "disable", "from", "to", "Paris", "Oslo", "scope", "2", "three", "5 kg"),
    *("Q3", "2024", "last year", "3 May", "without", "petrol", "diesel", "engine", "than", "the", "colleague", "%"),
)
texts = st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
cosines = st.floats(min_value=-1, max_value=1)


def judged(asked: str, cached: str, similarity: float = 0.95, threshold: float = 0.85) -> Verdict:
    return decide(asked, cached, similarity, threshold, SCALE)


@given(asked=texts, cached=texts, similarity=cosines, threshold=cosines)
def test_any_two_texts_get_a_short_verdict_and_but_for_additions_the_same_both_ways(
    asked: str, cached: str, similarity: float, threshold: float
) -> None:
    verdict = judged(asked, cached, similarity, threshold)
    swapped = judged(cached, asked, similarity, threshold)
    if "addition" not in (verdict.guard, swapped.guard):
        assert (verdict.serve, verdict.rule, verdict.guard) == (swapped.serve, swapped.rule, swapped.guard)
    assert verdict.guard in GUARDS
    assert verdict.serve == (verdict.guard == "") == (verdict.rule != "")
    assert 0 < len(verdict.reason) <= 200


@given(text=texts)
def test_an_equal_text_is_always_served(text: str) -> None:
    assert judged(text, text, 1.0).serve


@given(asked=texts, cached=texts, threshold=st.floats(min_value=0.5, max_value=1))
def test_nothing_below_the_threshold_is_served(asked: str, cached: str, threshold: float) -> None:
    assert not judged(asked, cached, threshold - 0.01, threshold).serve


@pytest.mark.parametrize(
    "text",
    ["1," * 4000, "one " * 2000, " " * 8000, "a." * 4000, "9" * 8000, "-" * 8000, "from to " * 1000, "a1-" * 2500],
)
def test_long_texts_are_never_served_for_different_ones(text: str) -> None:
    assert judged(text, text + "x").guard == "strict"
    assert judged(text[:1999], text[:1998] + "x").guard in GUARDS


def test_a_candidate_just_below_the_threshold_is_attributed_to_the_guard_that_objects() -> None:
    assert judged("Emissions in 2023?", "Emissions in 2024?", 0.80).guard == "dates"
    assert judged("Emissions in 2023?", "The emissions in 2023?", 0.80).guard == "threshold"
    assert judged("Emissions in 2023?", "Emissions in 2024?", 0.70).guard == "threshold"


def test_the_rule_is_clear_from_the_clear_threshold_and_strict_below_it() -> None:
    pair = "How can I reset my password?", "How do I reset my password?"
    assert judged(*pair, 0.90) == Verdict(True, "clear", "", "similarity 0.90, no guard objects")
    assert judged(*pair, 0.86).rule == "strict"


def test_a_policy_threshold_above_clear_takes_precedence() -> None:
    pair = "How can I reset my password?", "How do I reset my password?"
    assert judged(*pair, 0.94, 0.95).guard == "threshold"
    assert judged(*pair, 0.95, 0.95).rule == "clear"


def test_a_policy_threshold_below_the_edge_uses_strict_rules() -> None:
    assert judged("How can I reset my password?", "How do I reset my password?", 0.70, 0.65).rule == "strict"
    assert judged("How can I reset my router?", "In which way do I reset a laptop?", 0.70, 0.65).guard == "strict"


def test_strict_rules_apply_only_below_the_clear_threshold() -> None:
    pair = "How can I reset my router?", "In which way do I reset a laptop?"
    assert judged(*pair, 0.89).guard == "strict"
    assert judged(*pair, 0.91).rule == "clear"


def test_unsupported_languages_are_served_only_if_the_policy_allows_it() -> None:
    pair = "Как сбросить мой пароль?", "Как мне сбросить мой пароль?"
    assert judged(*pair, 0.99).guard == "language"
    assert decide(*pair, 0.89, 0.85, SCALE, any_language=True).guard not in ("", "language")
    assert judged(pair[0], pair[0] + "\u200b", 0.99).serve


@pytest.mark.parametrize(("similarity", "guard"), [(0.89, "threshold"), (0.91, "")])
def test_unsupported_languages_need_a_higher_similarity(similarity: float, guard: str) -> None:
    pair = "Как сбросить мой пароль?", "как сбросить мой пароль?"
    assert decide(*pair, similarity, 0.85, SCALE, any_language=True).guard == guard


@pytest.mark.parametrize(
    "text",
    ["How do I pay?", "Hamburg plant water Q3 2024", "pay invoice", "", "Who was last year's champion?", "café prices"],
)
def test_english_and_texts_without_function_words_count_as_english(text: str) -> None:
    assert languages_of(text) <= {ENGLISH, UNCLEAR}


@pytest.mark.parametrize(
    "text",
    [
        *("Wie hoch ist der Preis?", "Quel est le prix du billet?", "¿Dónde está la factura?", "Come posso pagare?"),
        *("東京の天気は?", "Сколько стоит доставка?", "كم السعر", "Onde está a minha encomenda?"),
    ],
)
def test_other_languages_do_not_count_as_english(text: str) -> None:
    assert ENGLISH not in languages_of(text)


@pytest.mark.parametrize(("length", "quoted"), [(60, '"' + "x" * 60 + '"'), (61, '"' + "x" * 60 + '…"')])
def test_long_differences_are_cut_off_in_the_reason(length: int, quoted: str) -> None:
    assert only_one("entities", "x" * length).reason == f"only one question mentions {quoted}"
