"""Compares signs that look like punctuation or hyphens but belong to a formula: factorials, and signs of numbers."""

import re

from cache_app.guards.objection import Objection, only_one

OPERAND = r"(?:(?<=[\d)])|(?<=\b[a-zA-Z]))"
FACTORIAL = re.compile(OPERAND + r"!(?=\s*[-?)*/+=^]|\s+[a-z])")
"""Not an exclamation mark, after which a sentence begins or nothing follows."""
SIGN = re.compile(OPERAND + r"\s*[-+*/^]\s*-(?=\s?[\w(])")


EXPRESSION = re.compile(r"\(\s*-?(?:[\d.]+|[a-zA-Z])\s*[-+*/^]")


def object_to_arithmetic(asked: str, cached: str) -> Objection | None:
    """Object unless both texts have as many factorials, signs after an operator, and expressions in parentheses."""
    for pattern, written in ((FACTORIAL, "!"), (SIGN, "-"), (EXPRESSION, "(")):
        if len(pattern.findall(asked)) != len(pattern.findall(cached)):
            return only_one("symbols", written)
    return None
