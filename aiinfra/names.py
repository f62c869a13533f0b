"""The one normal form of names that come from outside: users and tags.

Spellings that look alike must be one name everywhere, or a blank behind a name gets past its budget.
"""

import unicodedata
from collections.abc import Iterable

INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode categories of blanks, control and format characters, such as the zero-width space."""


def normal_name(text: str) -> str:
    """The name in Unicode form NFC, without blanks and invisible characters around it. Case counts.

    "" where nothing visible is left. Applying it twice changes nothing more.
    """
    name = unicodedata.normalize("NFC", text)
    first, end = 0, len(name)
    while first < end and unicodedata.category(name[first]) in INVISIBLE:
        first += 1
    while end > first and unicodedata.category(name[end - 1]) in INVISIBLE:
        end -= 1
    return name[first:end]


def normal_names(texts: Iterable[str]) -> list[str]:
    """Each name once, in the order of the first mention; those without a visible character are left out."""
    return list(dict.fromkeys(name for text in texts if (name := normal_name(text))))
