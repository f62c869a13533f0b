"""Normalizes names from clients: users and tags.

Spellings that look alike must be the same name everywhere; otherwise a trailing space would bypass a budget.
"""

import unicodedata
from collections.abc import Iterable

INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode categories of spaces, control and format characters, such as the zero-width space."""


def normal_name(text: str) -> str:
    """The name in NFC, without leading and trailing spaces and invisible characters. Case-sensitive.

    "" if nothing visible is left. Idempotent.
    """
    name = unicodedata.normalize("NFC", text)
    first, end = 0, len(name)
    while first < end and unicodedata.category(name[first]) in INVISIBLE:
        first += 1
    while end > first and unicodedata.category(name[end - 1]) in INVISIBLE:
        end -= 1
    return name[first:end]


def normal_names(texts: Iterable[str]) -> list[str]:
    """Each name once, in order of first mention, without names that have no visible character."""
    return list(dict.fromkeys(name for text in texts if (name := normal_name(text))))
