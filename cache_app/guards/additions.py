"""What the cached question says beyond the one that is asked: it may have steered the answer.

Who wants to have a false answer served to others asks their question and adds what the model is to say. The addition
hardly moves the embedding of a long question, and nothing in it need contradict the other text, so that no other guard
objects. What only the asked one says beyond steers nothing that is kept, so that this guard looks one way only.
"""

from collections.abc import Iterable

from cache_app.guards.difference import left_over
from cache_app.guards.objection import Objection, only_one
from cache_app.guards.parsing import Parsed, edited
from cache_app.guards.tables import terms

STRANGE = 0.5
"""Share of a statement's terms above which it has nothing to do with the question."""


def object_to_addition(asked: Parsed, cached: Parsed) -> Objection | None:
    """The cached text gives an instruction, makes another statement, or is the asked text with something added."""
    said = _instruction(asked, cached) or _statement(asked, cached) or _insertion(asked, cached)
    return only_one("addition", said) if said else None


def _instruction(asked: Parsed, cached: Parsed) -> str:
    given = tuple(each for each in cached.sequence if each in terms("instructions"))
    return _first(left_over(given, asked.sequence))


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
