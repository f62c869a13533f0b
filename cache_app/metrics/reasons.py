"""Why an answer was not served, as text; `cache_app.metrics.counts` lists the names."""

from collections.abc import Mapping
from dataclasses import dataclass

GUARDS = {
    "numbers": ("Numbers differ", "one mentions 5%, the other 50%"),
    "dates": ("Dates differ", "one mentions 2023, the other 2024 or last year"),
    "codes": ("Codes or names differ", "ESRS E1 is not ESRS E2, scope 1 is not scope 2"),
    "symbols": ("Symbols differ", "👍 is not 👎, a < b is not a > b, and -r is not -R"),
    "spelling": ("Written differently", "US and us, Polish and polish, pêcheur and pécheur"),
    "negation": ("One is negated", '"cancel it" and "don\'t cancel it"'),
    "antonyms": ("Opposite meaning", "increase and decrease, before and after"),
    "entities": ("Different names or things", "Berlin and Munich, one company and another"),
    "order": ("Same words in a different order", "from A to B is not from B to A"),
    "strict": ("One word differs", "nearly the same words, but one that matters is replaced or added"),
    "addition": ("The cached question says more", "the extra part may have shaped its answer"),
    "wording": ("Wording differs", "in this language only articles and politeness may differ"),
    "language": (
        "Unsupported language",
        "only exact matches are answered in it unless a setting allows more",
    ),
    "blocked": ("Reported as wrong", "this answer was reported as wrong for this question"),
    "error": ("A guard failed", "the log has the details; the question went to the provider"),
    "threshold": ("Not similar enough", "the best candidate was below the threshold; no guard was needed"),
}
UNSUITED = {
    "turn": ("Not a plain question", "the last message is not a plain text from the user"),
    "temperature": ("Temperature too high", "the caller expects a new answer each time"),
    "parameters": (
        "Tools or other parameters",
        "with tools, a response format, or a seed, only exact matches are answered",
    ),
    "tools": ("Tool results", "a tool's result belongs to this conversation alone"),
    "long": ("Too long", "long texts look alike even if they differ where it matters"),
    "language": (
        "Unsupported language",
        "the guards support English and six other languages",
    ),
    "short": ("Too short", '"yes" or "go on" depend on the earlier messages'),
}
ERRORS = {
    "redis": ("Redis did not respond", "the cache's store was unavailable"),
    "embedder": ("The embedder did not respond", "only exact matches were found"),
}
NEVER_COMPARED = "unsuited:"
NO_REFUSALS = {"none", "off"}


@dataclass(frozen=True)
class Refusal:
    """How often the cache did not answer for one reason."""

    label: str
    explanation: str
    count: int


def refusals(found: Mapping[str, int]) -> list[Refusal]:
    """The reasons in the result of `counts.totals`, the most frequent first."""
    split = [(*name.partition(":")[::2], count) for name, count in found.items() if count]
    rows = [Refusal(*_words(why), count) for kind, why, count in split if kind == "miss" and why not in NO_REFUSALS]
    errors = [Refusal(*ERRORS.get(why, (why, "")), count) for kind, why, count in split if kind == "error"]
    return sorted([*rows, *errors], key=lambda row: (-row.count, row.label))


def _words(why: str) -> tuple[str, str]:
    if why.startswith(NEVER_COMPARED):
        why = why.removeprefix(NEVER_COMPARED)
        label, explanation = UNSUITED.get(why, (why, ""))
        return label, f"never compared by meaning: {explanation}"
    return GUARDS.get(why, (why, ""))
