"""Detects additions in the cached question that may have steered its answer.

To poison the cache, an attacker asks a common question and appends an instruction to the model. The addition hardly
changes the embedding of a long question, and it need not contradict the other text, so no other guard objects.
Additions in the new question cannot affect the cached answer, so this guard is not symmetric.
"""

from collections.abc import Iterable

from cache_app.guards.difference import left_over
from cache_app.guards.objection import Objection, only_one
from cache_app.guards.parsing import Parsed, edited
from cache_app.guards.stems import IRREGULAR, stem
from cache_app.guards.tables import terms

STRANGE = 0.5
"""Above this share of new terms, a statement is unrelated to the question."""


def object_to_addition(asked: Parsed, cached: Parsed) -> Objection | None:
    """Object if the cached text has an instruction, an unrelated statement, or appended text."""
    said = _instruction(asked, cached) or _statement(asked, cached) or _insertion(asked, cached)
    return only_one("addition", said) if said else None


def _instruction(asked: Parsed, cached: Parsed) -> str:
    given = tuple(each for each in cached.sequence if each in terms("instructions") and _is_present(each, cached))
    return _first(left_over(given, asked.sequence))


def _is_present(term: str, parsed: Parsed) -> bool:
    """Whether a text has a term otherwise than as an irregular past: write, but not written."""
    return {stem(word) for word in parsed.words - IRREGULAR.keys()}.issuperset(term.split())


def _statement(asked: Parsed, cached: Parsed) -> str:
    for statement in cached.statements:
        strange = left_over(statement, asked.sequence)
        if len(strange) > STRANGE * len(set(statement)):
            return " ".join(statement)
    return ""


def _insertion(asked: Parsed, cached: Parsed) -> str:
    left, right = edited(asked, cached)
    more = left_over(cached.content, asked.sequence)
    return "" if left else _first(each for each in right if each in more)


def _first(found: Iterable[str]) -> str:
    return next(iter(found), "")
