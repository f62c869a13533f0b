"""Detects a text's language, because the guards' word lists are English.

A guess from frequent words and the script, in microseconds. `ENGLISH` has all guards, the languages of
`frame_words.txt` have the guard `wording`, and all others are `UNKNOWN`.
"""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

from cache_app.guards.tables import known_words, lines, words

ENGLISH = "en"
UNKNOWN = ""
UNCLEAR = "?"
"""A few unlisted words in Latin letters: assume the language of the other text."""
UNCLEAR_WORDS = 4
WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=4096)
def languages_of(text: str) -> frozenset[str]:
    """The codes of the best matching languages. Empty if none matches. A text without letters is English."""
    found = [word.lower() for word in WORD.findall(text) if len(word) == 1 or not (word.isupper() and word.isascii())]
    letters = "".join(found)
    if not letters.isascii() and 2 * sum(map(_is_foreign, letters)) > len(letters):
        return frozenset()
    english_words, languages = words("english"), _languages()
    english = sum(map(english_words.__contains__, found))
    foreign = Counter(code for word in found if word in languages for code in languages[word])
    hits = max(foreign.values(), default=0)
    if english or hits:
        return frozenset({ENGLISH} if english >= hits else (code for code in foreign if foreign[code] == hits))
    return _without_frequent_words(found)


def _without_frequent_words(found: list[str]) -> frozenset[str]:
    is_ascii = all(map(str.isascii, found))
    known = sum(word in known_words() for word in found)
    if not found or (is_ascii and known) or 2 * known > len(found):
        return frozenset({ENGLISH})
    return frozenset({UNCLEAR} if is_ascii and len(found) <= UNCLEAR_WORDS else ())


def common_language(one: str, other: str) -> str:
    """The language of both texts, `UNKNOWN` if the guards don't support it."""
    left, right = languages_of(one), languages_of(other)
    if UNCLEAR in left or UNCLEAR in right:
        left = right = (left | right) - {UNCLEAR} or frozenset({ENGLISH})
    return min(left & right & guarded_languages(), default=UNKNOWN)


def has_guards(text: str) -> bool:
    """Whether the text may be in a language with word lists."""
    return not languages_of(text).isdisjoint({UNCLEAR, *guarded_languages()})


@cache
def guarded_languages() -> frozenset[str]:
    """The codes of the languages with word lists."""
    return frozenset({ENGLISH, *with_frames()})


@cache
def with_frames() -> dict[str, frozenset[str]]:
    """Language code -> words that can be added or removed."""
    return {code: frozenset(found.split()) for code, found in _coded("frame_words")}


@cache
def _languages() -> dict[str, tuple[str, ...]]:
    """Frequent word -> languages. Words that English also has are ignored."""
    found: dict[str, list[str]] = {}
    for code, line in _coded("other_languages"):
        for word in set(line.split()) - words("stop") - words("english"):
            if len(word) > 1 or not word.isascii():  # a single letter may be a code
                found.setdefault(word, []).append(code)
    return {word: tuple(codes) for word, codes in found.items()}


def _coded(name: str) -> list[tuple[str, str]]:
    return [(code, rest) for code, _, rest in (line.partition(":") for line in lines(name))]


@lru_cache(maxsize=4096)
def _is_foreign(letter: str) -> bool:
    return not letter.isascii() and not unicodedata.name(letter, "").startswith("LATIN")
