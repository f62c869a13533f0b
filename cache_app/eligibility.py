"""Which questions may be answered by meaning; all others only by an equal one."""

import re

from cache_app.guards.language import has_guards
from cache_app.models import CachePolicy, OtherLanguages
from cache_app.question import Question

COMPARABLE = frozenset({"top_p", "presence_penalty", "frequency_penalty", "stop", "reasoning_effort", "verbosity"})
"""Parameters with which similar questions have the same answer. With any other, such as tools, a response format, or a
seed, only an exact match has.
"""
WORDS_MIN = 3
CONTENT_WORDS_MIN = 2
WORDS_MAX = 200
"""In a longer text one changed number no longer moves the embedding."""
CHARACTERS_MAX = 1_500
EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an and are be by can could continue do does for from go he how i in is it me more my no of ok
        okay on or our please she so sure tell thanks that the them then they this to us was we what
        when where which who why will with would yes you your
        """,
    )
)
"""A turn made up of these words alone means whatever the earlier turns make of it."""


def ineligible_because(question: Question, policy: CachePolicy) -> str:
    """Why the question is never compared by meaning, in one word; "" if it may be."""
    text = question.text
    words = re.findall(r"\w+", text.lower())
    if not text:
        return "turn"
    if (question.temperature or 0.0) > policy.max_temperature:
        return "temperature"
    if set(question.parameters) - COMPARABLE:
        return "parameters"
    if any(message.get("role") == "tool" for message in question.messages):
        return "tools"
    if len(words) > WORDS_MAX or len(text) > CHARACTERS_MAX:
        return "long"
    if _is_short(text, words):
        return "short"
    if policy.other_languages == OtherLanguages.EXACT and not has_guards(text):
        return "language"
    return ""


def _is_short(text: str, words: list[str]) -> bool:
    """Scripts without spaces between words are measured by length."""
    if not text.isascii() and len(words) < WORDS_MIN:
        return len(text) < 2 * WORDS_MIN
    return len(words) < WORDS_MIN or len(set(words) - EMPTY_WORDS) < CONTENT_WORDS_MIN
