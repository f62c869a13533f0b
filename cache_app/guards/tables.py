"""Loads the guards' word lists. All were written for this project.

A line of "opposites" has mutually exclusive sides, separated by `|`; words of one side are separated by commas.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from cache_app.guards.stems import stem

FOLDER = Path(__file__).parent / "words"
Sides = dict[str, tuple[tuple[int, int], ...]]
"""Term -> the lines and sides in which it occurs."""


def term(phrase: str) -> str:
    """Normalize a word or phrase: stems joined by spaces."""
    return " ".join(stem(word) for word in phrase.lower().replace("-", " ").split())


def lines(name: str) -> list[str]:
    """The lines of a list, without comments."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


@cache
def words(name: str) -> frozenset[str]:
    """All words of a plain list, unchanged."""
    return frozenset(word for line in lines(name) for word in line.split())


@cache
def terms(name: str) -> frozenset[str]:
    """All words of a plain list as terms."""
    return frozenset(term(word) for word in words(name))


@cache
def small_words() -> frozenset[str]:
    """Terms that don't carry a subject."""
    return terms("stop") | terms("negations")


@cache
def sides(name: str) -> Sides:
    """The opposites of a list."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, line in enumerate(lines(name)):
        for side, members in enumerate(line.split("|")):
            for phrase in members.split(","):
                found[term(phrase)].append((number, side))
    return {phrase: tuple(places) for phrase, places in found.items()}


@cache
def meanings() -> dict[str, frozenset[int]]:
    """Term -> the lines of synonyms in which it occurs."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(lines("synonyms")):
        for phrase in line.split(","):
            found[term(phrase)].add(number)
    return {phrase: frozenset(numbers) for phrase, numbers in found.items()}


@cache
def phrases() -> dict[str, frozenset[tuple[str, ...]]]:
    """First stem -> the listed phrases that start with it."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for each in _all_terms():
        parts = tuple(each.split())
        if len(parts) > 1:
            found[parts[0]].add(parts)
    return {first: frozenset(rest) for first, rest in found.items()}


OPPOSITES = ("antonyms", "contrasts", "places", "names")


def is_turned(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two short phrases have opposite directions: to and from, in and out of."""
    table = sides("directions")
    left, right = ({place for word in words for place in table.get(word, ())} for words in (one, other))
    return any(line == another and side != opposite for line, side in left for another, opposite in right)


@cache
def with_opposites() -> frozenset[str]:
    """All terms in lists of opposites."""
    return frozenset(each for name in OPPOSITES for each in sides(name))


@cache
def known_words() -> frozenset[str]:
    """All English words in any list, unchanged. A text with one of them may be English."""
    whole = " ".join(line for name in (*OPPOSITES, "synonyms") for line in lines(name))
    return (
        frozenset(re.findall(r"[^\s|,]+", whole.lower()))
        | words("stop")
        | words("labels")
        | words("restrictors")
        | words("frames")
    )


@cache
def ordinary_words() -> frozenset[str]:
    """The stems of known words: one of them is no typo of another."""
    return frozenset(map(stem, known_words() | words("everyday")))


def _all_terms() -> Iterator[str]:
    yield from meanings()
    for name in OPPOSITES:
        yield from sides(name)
