"""Compares antonyms, alternatives, places and names, words that narrow a question, and negation."""

from collections.abc import Iterable, Set

from cache_app.guards.difference import WordDifference, exclude_each_other, has_opposite, left_over
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import Parsed, unframed
from cache_app.guards.stems import is_typo, stem
from cache_app.guards.tables import sides, terms

GUARDS = {"antonyms": "antonyms", "contrasts": "antonyms", "places": "entities", "names": "entities"}
AUXILIARIES = frozenset(map(stem, ("do", "does", "did")))
"""A question has one whatever it is about: not the "do" that means "provide"."""
DOING, UNDERGOING = ("er", "or"), "ee"
NEGATING = ("un", "in", "im", "ir", "il", "dis", "non", "de", "mis", "anti")


def object_to_negation(asked: Parsed, cached: Parsed) -> Objection | None:
    """Object if only one text negates, by a word or a prefix (approved, unapproved)."""
    if asked.negations % 2 != cached.negations % 2:
        return only_one("negation", "not")
    for one, other in ((asked.content, cached.content), (cached.content, asked.content)):
        for word in set(one) - set(other):
            if any(word == prefix + each for each in other for prefix in NEGATING if len(each) > 3):
                return only_one("negation", word)
    return None


def object_to_opposites(asked: Parsed, cached: Parsed) -> Objection | None:
    """Object if the texts have terms on different sides of a list, including small words ("best", "worst")."""
    for one in _opposable(asked, cached):
        for other in _opposable(cached, asked):
            if name := exclude_each_other(one, other):
                return differs(GUARDS[name], one, other)
    return None


def object_to_roles(asked: Parsed, cached: Parsed) -> Objection | None:
    """Object if one text has who does something, and the other to whom it is done: interviewer, interviewee."""
    for one, other in ((asked, cached), (cached, asked)):
        undergoing = {word.removesuffix("s") for word in other.words - one.words}
        for word in one.words - other.words:
            doing = word.removesuffix("s")
            if len(doing) > 4 and doing.endswith(DOING) and doing[:-2] + UNDERGOING in undergoing:
                return differs("antonyms", doing, doing[:-2] + UNDERGOING)
    return None


def opposing_lines(asked: Parsed, cached: Parsed) -> frozenset[tuple[str, int]]:
    """(list name, line) for each line that has terms of the two texts on different sides."""
    found = set()
    for one in _opposable(asked, cached):
        for other in _opposable(cached, asked):
            if name := exclude_each_other(one, other):
                left, right = ({line for line, _ in sides(name)[each]} for each in (one, other))
                found |= {(name, line) for line in left & right}
    return frozenset(found)


def _opposable(one: Parsed, other: Parsed) -> tuple[str, ...]:
    terms_of_one = tuple(each for each in unframed(one.sequence) if has_opposite(each))
    return left_over(terms_of_one, tuple(each for each in unframed(other.sequence) if each not in AUXILIARIES))


def object_to_restriction(apart: WordDifference) -> Objection | None:
    """Object if one text is narrower: an additional person, kind, or condition."""
    narrowing = [each for each in (*apart.asked, *apart.cached) if not terms("restrictors").isdisjoint(each.split())]
    return only_one("entities", narrowing[0]) if narrowing else None


def object_to_names(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """Object if each text has a name that the other does not mention."""
    left, right = _unknown(asked.names, apart.asked, cached), _unknown(cached.names, apart.cached, asked)
    return differs("entities", left[0], right[0]) if left and right else None


def added_name(asked: Parsed, cached: Parsed, apart: WordDifference) -> str:
    """A name that only one of the texts has, "" if none."""
    added = [*_unknown(asked.names, apart.asked, cached), *_unknown(cached.names, apart.cached, asked)]
    return next(iter(added), "")


def _unknown(names: Set[str], left_over: Iterable[str], other: Parsed) -> list[str]:
    """The names among the terms that the other text does not have in any form."""
    candidates = [part for each in left_over for part in each.split() if part in names]
    words = {part for each in other.sequence for part in each.split()}
    initials = "".join(each[0] for each in other.sequence if each)
    return [name for name in candidates if name not in words and not _is_known(name, words, initials)]


def _is_known(name: str, words: set[str], initials: str) -> bool:
    """Whether two names match: short or long form, or a typo."""
    near = any(word.startswith(name) or name.startswith(word) for word in words if min(len(word), len(name)) > 3)
    return (
        near or (1 < len(name) < 6 and name in initials) or any(len(name) > 5 and is_typo(name, word) for word in words)
    )
