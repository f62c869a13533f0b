"""The kind of answer that a question expects: time, place, person, reason, amount, method."""

import re

KINDS = (
    ("amount", r"\bhow (?:much|expensive)\b|"
               r"\bwhat(?:['\u2019]s| is| are| do| does) (?:the |your |you )*(?:price|cost|fee|charge)|"
               r"\b(?:price|cost|fee)s? (?:of|for)\b|\bwhat do you charge\b"),
    ("number", r"\bhow many\b|\b(?:number|count) of\b"),
    ("duration", r"\bhow long\b|\bhow quickly\b|\bhow soon\b|\bhow fast\b"),
    ("frequency", r"\bhow often\b|\bhow frequently\b|\bhow many times\b"),
    ("time", r"\bwhen\b|\b(?:what|which) (?:time|date|day|year|month)\b"),
    ("place", r"\bwhere\b|\b(?:what|which|in what|in which) (?:place|location)\b"),
    ("person", r"\bwho\b|\bwhose\b|\bwhom\b|\b(?:what|which) (?:person|people)\b"),
    ("reason", r"\bwhy\b|\bhow come\b|\breasons?\b|\bwhat makes\b|\bwhat causes?\b|\bwhat caused\b"),
    ("way", r"\bhow (?:can|do|does|to|should|could|would|did|might)\b|\bways?\b|\bsteps\b"),
)  # fmt: skip
COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in KINDS)
CONTRARY = {
    frozenset(pair)
    for pair in (
        *(("time", other) for other in ("place", "person", "reason", "amount", "number", "way")),
        *(("place", other) for other in ("person", "reason", "amount", "number", "duration")),
        *(("person", other) for other in ("reason", "amount", "number", "way", "duration")),
        *(("reason", other) for other in ("amount", "number", "duration", "way", "frequency")),
        *(("amount", other) for other in ("duration", "way", "frequency")),
        *(("number", other) for other in ("way",)),
        ("duration", "frequency"),
    )
}


def question_of(text: str) -> str:
    """The kind by the first question word of a lowercase text. "" if none. English only."""
    found = [(match.start(), kind) for kind, pattern in COMPILED if (match := pattern.search(text))]
    return min(found)[1] if found else ""


def are_contrary(one: str, other: str) -> bool:
    """Whether no answer can fit both kinds."""
    return frozenset((one, other)) in CONTRARY
