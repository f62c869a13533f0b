"""Compares words that make a number a bound, an interval, or a point in time: at least 5, every 5, 5 ago."""

import re
from itertools import chain

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.quantities import NUMBER_WORD

NUMBER = rf"(?:[£€$¥₹]\s?)?(?:\d|(?:{NUMBER_WORD})\b)"
COUNTED = rf"(?:\d[^\W\d_]{{0,12}}[%£€$¥₹]?|\b(?:{NUMBER_WORD})s?)"
BEFORE = (
    ("at least", r"at least|(?:a )?min(?:imum|\.)?(?: of)?|(?:no|not) (?:less|fewer) than"),
    ("at most", r"at most|up to|(?:a )?max(?:imum|\.)?(?: of)?|(?:no|not) more than"),
    ("more than", r"(?<!no )(?<!not )more than|over|above|greater than|exceed(?:s|ed|ing)?"),
    ("less than", r"(?<!no )(?<!not )(?:less|fewer) than|under|below"),
    ("every", r"every|once in"),
    ("exactly", r"exactly|precisely"),
    ("about", r"about|around|approximately|approx\.?|roughly|circa"),
)
AFTER = (
    ("at least", r"(?:or|and) (?:more|above|over|older|up|higher|greater|larger|longer)"),
    ("at most", r"(?:or|and) (?:less|fewer|below|under|younger|lower|smaller|shorter)"),
    ("ago", r"ago"),
)
COMPILED = (
    *((kind, re.compile(rf"\b(?:{pattern})\s{NUMBER}")) for kind, pattern in BEFORE),
    *((kind, re.compile(rf"{COUNTED}\s(?:[^\W\d_]{{1,16}}\s){{0,2}}(?:{pattern})\b")) for kind, pattern in AFTER),
)
CASUAL = frozenset({"exactly", "about", "at most", "less than"})
"""Said or not said they hardly change a question ("5 dollar games"); only against another bound."""
HINT = re.compile(rf"\d|\b(?:{NUMBER_WORD})\b", re.IGNORECASE)


def take_bounds(text: str) -> frozenset[str]:
    """The bounds of the numbers of a text."""
    if not HINT.search(text):
        return frozenset()
    lower = text.lower()
    return frozenset(kind for kind, pattern in COMPILED if pattern.search(lower))


def object_to_bounds(asked: frozenset[str], cached: frozenset[str]) -> Objection | None:
    """Bounds must be the same. One that only one text has is another question, too."""
    left, right = sorted(asked - cached), sorted(cached - asked)
    if left and right:
        return differs("numbers", left[0], right[0])
    alone = next((each for each in chain(left, right) if each not in CASUAL), None)
    return only_one("numbers", alone) if alone else None
