"""The terms that only one of two texts has, after matching terms with the same meaning."""

from dataclasses import dataclass
from functools import lru_cache

from cache_app.guards.parsing import Parsed
from cache_app.guards.stems import is_derived, is_typo
from cache_app.guards.tables import OPPOSITES, meanings, ordinary_words, sides, with_opposites

FORMS = "rnd"
"""Letters that make another form of a word: later, Asian."""


@dataclass(frozen=True)
class WordDifference:
    """Terms that only the asked and only the cached text has, in order."""

    asked: tuple[str, ...]
    cached: tuple[str, ...]


def difference(asked: Parsed, cached: Parsed) -> WordDifference:
    """Compare the contents of two texts. Symmetric."""
    return WordDifference(left_over(asked.content, cached.sequence), left_over(cached.content, asked.sequence))


def left_over(terms: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The terms without a match among the others, without duplicates."""
    rest = dict.fromkeys(each for each in terms if each not in others)
    return tuple(each for each in rest if not any(are_alike(each, one) for one in others))


@lru_cache(maxsize=16384)
def are_alike(one: str, other: str) -> bool:
    """Whether two terms mean the same: synonyms, words of one root, a typo, a phrase and its main word."""
    if not meanings().get(one, frozenset()).isdisjoint(meanings().get(other, ())):
        return True
    typo = is_typo(one, other) and not _are_lookalikes(one, other) and not _are_words(one, other)
    near = is_derived(one, other) or typo or _is_part(one, other) or _is_part(other, one)
    return near and not exclude_each_other(one, other)


def _are_words(one: str, other: str) -> bool:
    """Whether both are ordinary words, and not forms of one: card and cart, but not late and later."""
    shorter, longer = sorted((one, other), key=len)
    return ordinary_words().issuperset((one, other)) and longer not in [shorter + each for each in FORMS]


def _are_lookalikes(one: str, other: str) -> bool:
    """Whether two words differ only by one letter in a different meaning: sulfate and sulfite."""
    left, right = (sides("lookalikes").get(each, ()) for each in (one, other))
    return set(left).isdisjoint(right) and not {line for line, _ in left}.isdisjoint(line for line, _ in right)


@lru_cache(maxsize=16384)
def exclude_each_other(one: str, other: str) -> str:
    """The list that has the two on different sides of a line and never on the same side. "" if none."""
    if not (has_opposite(one) and has_opposite(other)):
        return ""
    for name in OPPOSITES:
        left, right = sides(name).get(one, ()), sides(name).get(other, ())
        lines = {line for line, _ in left} & {line for line, _ in right}
        if lines and set(left).isdisjoint(right):
            return name
    return ""


def has_opposite(each: str) -> bool:
    """Whether the term is in a list of opposites, so that mentioning it narrows a question."""
    return each in with_opposites()


def _is_part(one: str, other: str) -> bool:
    """Whether a word is part of a phrase that has no opposite: "swimming pool", but not "gift card"."""
    return " " in other and len(one) > 3 and one in other.split() and not has_opposite(other)
