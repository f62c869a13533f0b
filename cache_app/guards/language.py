"""Whether a text is English: the word lists of the guards are."""

import re
import unicodedata

from cache_app.guards.tables import words

WORD = re.compile(r"[^\W\d_]+")


def is_english(text: str) -> bool:
    """A guess from frequent words and the script, in microseconds. A text without any such word counts as English if
    it is written in plain Latin letters."""
    found = [word.lower() for word in WORD.findall(text) if len(word) == 1 or not (word.isupper() and word.isascii())]
    english = sum(word in words("english") for word in found)
    foreign = sum(word in words("other_languages") and word not in words("stop") for word in found)
    if english or foreign:
        return english >= foreign
    return not any(_is_foreign(letter) for word in found for letter in word)


def _is_foreign(letter: str) -> bool:
    return not letter.isascii() and not unicodedata.name(letter, "").startswith("LATIN")
