"""The language of a text, and the bars that apply to it."""

import pytest

from cache_app.embedding.base import Scale
from cache_app.guards.decision import decide
from cache_app.guards.language import ENGLISH, UNCLEAR, UNKNOWN, common_language, has_guards, languages_of

RUSSIAN = "Как сбросить мой пароль?", "как сбросить мой пароль?"
GERMAN = "Wie kann ich die Rechnung bezahlen?", "Wie kann ich meine Rechnung bezahlen?"
SCALE = Scale(edge=0.85, clear=0.90, near=0.75)
LANGUAGES = {
    "": {ENGLISH},
    "123": {ENGLISH},
    "NASA": {ENGLISH},
    "the дом": {ENGLISH},
    "the дома": set(),
    "the Haus": {ENGLISH},
    "qwx": {UNCLEAR},
    "qwx zxq vbn mnb": {UNCLEAR},
    "qwx zxq vbn mnb wqx": set(),
    "qwxé": set(),
    "hot qwx zxq vbn mnb wqx": {ENGLISH},
    "hot cold qwxé": {ENGLISH},
    "hot qwxé": set(),
    "Der Hund ist nicht da": {"de"},
    "DER HUND qwx": {UNCLEAR},
}


@pytest.mark.parametrize("text", LANGUAGES)
def test_the_language_follows_from_the_script_and_frequent_words(text: str) -> None:
    assert languages_of(text) == LANGUAGES[text]


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("How do I pay?", "Who is it?", ENGLISH),
        (*GERMAN, "de"),
        ("qwx", GERMAN[0], "de"),
        ("qwx", "How do I pay?", ENGLISH),
        ("qwx", "zxq", ENGLISH),
        ("qwx", RUSSIAN[0], ENGLISH),
        ("How do I pay?", GERMAN[0], UNKNOWN),
        (*RUSSIAN, UNKNOWN),
    ],
)
def test_an_unclear_text_is_in_the_language_of_the_other(one: str, other: str, language: str) -> None:
    assert common_language(one, other) == common_language(other, one) == language


@pytest.mark.parametrize(
    ("text", "guarded"), [("How do I pay?", True), (GERMAN[0], True), ("qwx", True), (RUSSIAN[0], False)]
)
def test_texts_in_languages_without_word_lists_have_no_guards(text: str, guarded: bool) -> None:
    assert has_guards(text) is guarded


@pytest.mark.parametrize(
    ("similarity", "threshold", "clear", "rule"),
    [
        (0.985, 0.97, 0.90, ""),
        (0.99, 0.97, 0.90, "clear"),
        (0.992, 0.995, 0.90, ""),
        (0.995, 0.995, 0.90, "clear"),
        (0.94, 0.85, 0.90, "strict"),
        (0.96, 0.85, 0.90, "clear"),
        (0.985, 0.85, 0.97, "strict"),
        (0.99, 0.85, 0.97, "clear"),
    ],
)
def test_languages_without_word_lists_have_higher_bars(
    similarity: float, threshold: float, clear: float, rule: str
) -> None:
    scale = Scale(edge=0.85, clear=clear, near=0.75)
    assert decide(*RUSSIAN, similarity, threshold, scale, any_language=True).rule == rule


@pytest.mark.parametrize(("similarity", "rule"), [(0.84, ""), (0.85, "clear"), (0.89, "clear")])
def test_the_wording_guard_needs_no_strict_rules(similarity: float, rule: str) -> None:
    assert decide(*GERMAN, similarity, 0.85, SCALE).rule == rule


@pytest.mark.parametrize(("similarity", "guard"), [(0.74, "threshold"), (0.75, "dates")])
def test_guards_are_asked_from_the_near_similarity_on(similarity: float, guard: str) -> None:
    assert decide("Costs in 2023?", "Costs in 2024?", similarity, 0.85, SCALE).guard == guard


@pytest.mark.parametrize(("length", "too_long"), [(2_000, False), (2_001, True)])
def test_different_texts_of_more_than_2000_characters_are_not_compared(length: int, too_long: bool) -> None:
    text = "a" * length
    for pair in ((text, "b"), ("b", text)):
        assert decide(*pair, 0.97, 0.85, SCALE).reason.startswith("more than 2000 characters") is too_long
    assert decide(text, text, 0.97, 0.85, SCALE).serve
