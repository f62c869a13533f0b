"""Where the similarity alone does not tell: one word exchanged, one added; and another kind of answer wanted."""

from cache_app.guards.difference import WordDifference, has_opposite
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.opposites import added_name
from cache_app.guards.parsing import Parsed, edited
from cache_app.guards.questions import are_contrary
from cache_app.guards.tables import is_turned

EDITED_WORDS = 2
"""How long the two wordings of one place may be in an edit that is suspicious for its smallness."""


def object_to_question(asked: Parsed, cached: Parsed) -> Objection | None:
    """The two want answers of different kinds: a time and a place."""
    if are_contrary(asked.question, cached.question):
        return differs("strict", asked.question, cached.question)
    return None


def object_to_minimal_edit(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """Texts that are equal but for one word of their subject: whoever says the same again changes more than that, or
    less. Objects whatever the similarity is, in every language."""
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
