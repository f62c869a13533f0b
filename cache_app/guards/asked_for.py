"""Compares what a question asks for: the one who does something, or the one to whom it is done."""

import re

from cache_app.guards.parsing import Parsed
from cache_app.guards.stems import stem
from cache_app.guards.tables import terms

HELPING = "did|do|does|is|are|was|were|will|would|can|could|should|has|have"
ASKED_FOR = r"^\W*(?:who|whom|what|which(?: \w+){1,3}?)"
SUBJECT = re.compile(rf"^\W*(?:who|what) (?!(?:{HELPING})\b)|^\W*which\b(?!.*\b(?:{HELPING})\b)")
OBJECT = re.compile(rf"^\W*whom\b|{ASKED_FOR} (?:did|do|does)\b")
OWNER = re.compile(r"^\W*whose\b")
AUXILIARIES = frozenset(map(stem, ("do", "does", "did")))


def questions_exchanged(asked: Parsed, cached: Parsed) -> bool:
    """Who invited Anna, whom did Anna invite; which files import it, which files does it import."""
    if set(asked.content) != set(cached.content):
        return False
    one, other = asked.text.lower(), cached.text.lower()
    if bool(OWNER.search(one)) != bool(OWNER.search(other)):
        return True
    exchanged = any(SUBJECT.search(left) and OBJECT.search(right) for left, right in ((one, other), (other, one)))
    both = (set(asked.sequence) & set(cached.sequence)) - AUXILIARIES - terms("determiners")
    return exchanged and _in_order(asked, both) != _in_order(cached, both)


def _in_order(parsed: Parsed, both: set[str]) -> list[str]:
    """What both texts have. In "what does it mean" and "what it means", the order is the same."""
    return [each for each in parsed.sequence if each in both]
