"""Why an answer was not served, in words for people; `cache_app.metrics.counts` lists the names."""

from collections.abc import Mapping
from dataclasses import dataclass

GUARDS = {
    "numbers": ("Numbers differ", "one asks for 5 %, the other for 50 %"),
    "dates": ("Dates differ", "one asks for 2023, the other for 2024 or for last year"),
    "codes": ("Codes or names differ", "ESRS E1 is not ESRS E2, scope 1 is not scope 2"),
    "symbols": ("Symbols differ", "👍 is not 👎, a < b is not a > b, and -r is not -R"),
    "spelling": ("Written differently", "US and us, Polish and polish, pêcheur and pécheur"),
    "negation": ("One of them is negated", "“cancel it” and “don't cancel it”"),
    "antonyms": ("One says the opposite", "increase and decrease, before and after"),
    "entities": ("They name different things", "Berlin and Munich, one company and another"),
    "order": ("The same words in exchanged places", "from A to B is not from B to A"),
    "strict": ("One word apart", "nearly the same words, but one that matters is exchanged or added"),
    "addition": ("The cached question says more", "what it asks beyond the other may have steered its answer"),
    "wording": ("Other words", "in this language only articles and politeness may differ"),
    "language": (
        "No words for the language",
        "it has only equal questions answered, unless a setting allows more",
    ),
    "blocked": ("Reported as wrong", "somebody said that this answer does not fit this question"),
    "error": ("A guard failed", "the log has the details; the question went to the provider"),
    "threshold": ("Not similar enough", "the best candidate lay below the threshold; no guard had to look"),
}
UNSUITED = {
    "turn": ("Not a plain question", "the last message holds more than a user's text, or is none"),
    "temperature": ("Temperature too high", "the caller wants a new answer each time"),
    "tools": ("Answers of tools", "what a tool has said belongs to this conversation alone"),
    "long": ("Too long", "long texts look alike although they differ where it matters"),
    "language": (
        "No words for the language",
        "the guards know English and six other languages",
    ),
    "short": ("Too short", "“yes” or “go on” mean what came before"),
}
ERRORS = {
    "redis": ("Redis did not answer", "the cache's store was away"),
    "embedder": ("The embedder did not answer", "only equal questions were found"),
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
    """The reasons among what `counts.totals` found, the most frequent first."""
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
