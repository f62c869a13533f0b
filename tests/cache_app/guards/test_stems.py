"""Typos, derived words, and stems."""

import pytest

from cache_app.guards.parsing import parse
from cache_app.guards.stems import is_derived, is_typo, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [("invoice", "invoce"), ("invoce", "invoice"), ("budget", "budegt"), ("budget", "bodget"), ("caches", "cache")],
)
def test_one_wrong_missing_or_swapped_letter_is_a_typo(one: str, other: str) -> None:
    assert is_typo(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("budget", "gadget"),
        ("budget", "buckle"),
        ("price", "slice"),
        ("cat", "cut"),
        ("invoice", "invocing"),
        ("code1", "code2"),
        ("import", "export"),
        ("budget", "budtge"),
    ],
)
def test_different_words_are_not_typos(one: str, other: str) -> None:
    assert not is_typo(one, other)
    assert not is_typo(other, one)


@pytest.mark.parametrize(
    ("one", "other", "derived"),
    [("approve", "approval", True), ("emission", "emit", False), ("report", "reports", True), ("cost", "coast", False)],
)
def test_words_with_the_same_root_are_derived(one: str, other: str, derived: bool) -> None:
    assert is_derived(one, other) is is_derived(other, one) is derived


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [
        ("organized", "organis"),
        ("organising", "organis"),
        ("invoices", "invoic"),
        ("paid", "pay"),
        ("bus", "bus"),
        ("stopping", "stop"),
        ("adding", "add"),
    ],
)
def test_forms_of_a_word_have_one_stem(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("Reset the router.", 0),
        ("Reset the router. Restart the modem.", 2),
        ("Reset the router. Restart the modem. Check the cable.", 3),
    ],
)
def test_statements_are_separated_if_there_are_several(text: str, statements: int) -> None:
    assert len(parse(text).statements) == statements
