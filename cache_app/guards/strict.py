"""Rules for candidates below the clear bar: one word replaced or added, or a different kind of answer."""

from collections.abc import Sequence

from cache_app.guards.difference import WordDifference, are_alike, exclude_each_other, has_opposite
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.opposites import added_name
from cache_app.guards.parsing import Parsed, edited
from cache_app.guards.questions import are_contrary
from cache_app.guards.tables import is_turned, small_words

EDITED_WORDS = 2
"""Maximum length of the two sides of a suspiciously small edit."""


def object_to_question(asked: Parsed, cached: Parsed) -> Objection | None:
    """Object if the texts expect different kinds of answers, such as a time and a place."""
    if are_contrary(asked.question, cached.question):
        return differs("strict", asked.question, cached.question)
    return None


def object_to_minimal_edit(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """Object if the texts are equal except for one word of their subject, because rephrasing changes more or less than
    that. Applies at any similarity and in every language.
    """
    left, right = edited(asked, cached)
    if max(len(left), len(right)) <= EDITED_WORDS and is_turned(*_apart(left, right)):
        return differs("order", " ".join(left), " ".join(right))
    if left and right:
        return _object_to_exchange(left, right)
    added = [*left, *right]
    return only_one("strict", added[0]) if len(added) == 1 and {*apart.asked, *apart.cached}.issuperset(added) else None


def _apart(left: Sequence[str], right: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of two lists of terms that only one has: report by, report to."""
    one, other = ([word for each in terms for word in each.split()] for terms in (left, right))
    return [word for word in one if word not in other], [word for word in other if word not in one]


def _object_to_exchange(left: Sequence[str], right: Sequence[str]) -> Objection | None:
    """Object to words of the subject in place of others: at most two, or one with what both have."""
    one, other = _without_shared(left, right), _without_shared(right, left)
    if len(one) == len(other) == 1 and exclude_each_other(one[0], other[0]):
        return differs("antonyms", one[0], other[0])
    longest = EDITED_WORDS if min(len(one), len(other)) > 1 else EDITED_WORDS + 1
    if not one or not other or max(len(left), len(right)) > longest or not small_words().isdisjoint((*one, *other)):
        return None
    if any(word == another or are_alike(word, another) for word in one for another in other):
        return None
    return differs("strict", " ".join(one), " ".join(other))


def _without_shared(terms: Sequence[str], others: Sequence[str]) -> list[str]:
    """The terms, each once, without the small words that both sides have: line by line, byte by byte."""
    shared = small_words() & {part for each in others for part in each.split()}
    bare = (" ".join(part for part in each.split() if part not in shared) for each in terms)
    return list(dict.fromkeys(filter(None, bare)))


def object_strictly(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """The first strict rule that objects. Symmetric."""
    if name := added_name(asked, cached, apart):
        return only_one("strict", name)
    if len(apart.asked) == len(apart.cached) == 1 and any(map(has_opposite, (*apart.asked, *apart.cached))):
        return differs("strict", apart.asked[0], apart.cached[0])
    added = next((each for each in apart.asked or apart.cached if has_opposite(each)), "")
    return only_one("strict", added) if added and not (apart.asked and apart.cached) else None
