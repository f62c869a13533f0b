"""Small words that change a question if nothing else differs: whose, how many of them, whether it must or may be.

They carry no subject, so the other guards pass over them, and an embedder hardly sees them. They are compared place
by place in two texts that agree in all other words: in a rewording each of them can be there for the grammar.
"""

import re

from cache_app.guards.difference import WordDifference
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import Parsed
from cache_app.guards.stems import stem
from cache_app.guards.tables import sides

WORD = re.compile(r"[^\W\d_]+")
POLITE = re.compile(
    r"\b(?:(?:can|could|would|will) (?:you|u|someone|anyone)(?: please| kindly)? "
    r"(?=(?:tell|show|help|explain|give|let|advise|describe|list|find)\b)|tell me|show me|help me|explain to me|"
    r"give me|let me know|i(?: would|'d|\u2019d)? (?:like|want|need|have) to (?:know|ask|understand|learn)|do you know|"
    r"i (?:was|am) wondering|i wonder|i have (?:a|one) question|i need (?:some )?help|is there any(?:one|body) who)\b"
)
ASIDES = (
    (re.compile(r"['\u2019](?:s|re|ve|d|ll|m)\b"), " "),
    (re.compile(r"\bhow (?:much|many)\b"), "how"),
    (re.compile(r"\bno longer\b"), "anymore"),
)
ASKS_THE_WAY = re.compile(
    r"\b(how|where)(?: (?:do|does|can|could|should|would|might|must|to))?(?: (i|you|we|one|people|someone))?\b"
    r"|\b(?:ways?|steps|possible|how) (?:for me |for you )?(to)\b"
    r"|\b(what|which|when|why)(?: [a-z]+){0,4}? (?:can|could|should|would) (i|you|we|one|people)\b"
)
"""Whom "how do I" is about is no one in particular."""
OFFERS = re.compile(
    r"\bdo (?:you|we|they) ((?:[a-z]+ ){0,2})"
    r"(?=(?:have|offer|sell|accept|take|provide|support|ship|deliver|allow|serve|stock)\b)"
)
OWN = {"you": {"your": "my", "yourself": "myself"}, "one": {"one": "my", "oneself": "myself"}}
MODALS = frozenset({"can", "could", "should", "would", "might"})
ASKS_WHAT = re.compile(r"^\W*(?:how|what|which|where)\b")
AGREEING = frozenset(map(stem, ("is", "are", "am", "do", "does", "was", "were", "has", "have", "this", "these")))
"""Words that follow the number and the person of another."""
ARTICLES = frozenset({"a", "an", "the"})
NARROWING = frozenset({"only", "solely", "exclusively"})


def object_to_small_words(asked: Parsed, cached: Parsed, apart: WordDifference) -> Objection | None:
    """Two small words of one kind where each text has another, or "only" in one of them or before another word."""
    if apart.asked or apart.cached:
        return None
    left, right = _small_words(asked.text), _small_words(cached.text)
    exchanged = _exchanged(left, right)
    if exchanged:
        return differs("wording", *exchanged[0])
    narrowed = [_narrowed(parsed) for parsed in (asked, cached)]
    return only_one("entities", "only") if narrowed[0] != narrowed[1] else None


def _exchanged(left: list[str], right: list[str]) -> list[tuple[str, str]]:
    """The words that exclude each other in two sentences with no other difference; none if there is another."""
    if len(left) != len(right):
        return []
    apart = [(one, other) for one, other in zip(left, right, strict=True) if one != other]
    excluding = [pair for pair in apart if _exclude(*pair)]
    return excluding if all(pair in excluding or AGREEING.issuperset(pair) for pair in apart) else []


def _exclude(one: str, other: str) -> bool:
    left, right = (sides("small_contrasts").get(each, ()) for each in (one, other))
    return set(left).isdisjoint(right) and not {line for line, _ in left}.isdisjoint(line for line, _ in right)


def without_politeness(text: str) -> list[str]:
    """The words of a text in lower case without what people put around a question."""
    return WORD.findall(POLITE.sub(" ", text.lower()))


def _small_words(text: str) -> list[str]:
    """The words of a text without articles, politeness, and the subject of "how do I"."""
    text = POLITE.sub(" ", text.lower())
    for pattern, instead in ASIDES:
        text = pattern.sub(instead, text)
    text = OFFERS.sub(r"have \1", text)
    words = [stem(word) for word in WORD.findall(text)]
    return [_plain_modal(word, text) for word in _first_person(text, words) if word not in ARTICLES]


def _plain_modal(word: str, text: str) -> str:
    """What one can, should or might do is one question, if it is not asked whether."""
    return "do" if word in MODALS and ASKS_WHAT.search(text) else word


def _first_person(text: str, words: list[str]) -> list[str]:
    match = ASKS_THE_WAY.search(text)
    if match is None:
        return words
    subject = match[2] or match[5] or "you"
    changed = OWN.get(subject, {})
    skipped = [stem(word) for word in WORD.findall(match[0])]
    at = len(WORD.findall(text[: match.start()]))
    rest = words[:at] + words[at + len(skipped) :] if words[at : at + len(skipped)] == skipped else words
    return [changed.get(word, word) for word in rest]


def _narrowed(parsed: Parsed) -> frozenset[str]:
    """To each "only" the next word that carries the subject."""
    return frozenset(
        next((each for each in parsed.sequence[at + 1 :] if each in parsed.content), "")
        for at, word in enumerate(parsed.sequence)
        if word in NARROWING
    )
