"""Rules for candidates below the clear bar: one word replaced or added, or a different kind of answer."""

from cache_app.guards.difference import WordDifference, has_opposite
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.opposites import added_name
from cache_app.guards.parsing import Parsed, edited
from cache_app.guards.questions import are_contrary
from cache_app.guards.tables import is_turned

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
    if max(len(left), len(right)) > EDITED_WORDS:
        return None
    if is_turned(left, right):
        return differs("order", " ".join(left), " ".join(right))
    changed = [*apart.asked, *apart.cached]
    is_bare = all(word in changed for word in (*left, *right))
    if not changed or not is_bare or min(len(left), len(right)) == 0 < max(len(left), len(right)) - 1:
        return None
    if left and right:
        return differs("strict", " ".join(left), " ".join(right))
    return only_one("strict", " ".join(left or right))


def object_strictly(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """The first strict rule that objects. Symmetric."""
    if name := added_name(asked, cached, apart):
        return only_one("strict", name)
    if len(apart.asked) == len(apart.cached) == 1 and any(map(has_opposite, (*apart.asked, *apart.cached))):
        return differs("strict", apart.asked[0], apart.cached[0])
    added = next((each for each in apart.asked or apart.cached if has_opposite(each)), "")
    return only_one("strict", added) if added and not (apart.asked and apart.cached) else None
