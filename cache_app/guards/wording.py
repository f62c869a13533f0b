"""German, French, Spanish, Italian, Portuguese, Dutch: served only where nothing but small words differs.

There are no lists of opposites for these languages, so the rule is the other way round: each word must be in both
texts, in the same order, but for those that may come and go ("puis-je", "por favor"). A negation, a preposition or a
noun is none of these, so no list has to know it.
"""

import re
import unicodedata

from cache_app.guards.language import with_frames
from cache_app.guards.objection import Objection, differs, only_one

WORD = re.compile(r"[^\W_]+")
ENDINGS = ("en", "n", "s")
ROOT = 4
"""Letters that must stay when an ending is taken off."""
VERB_LAST = frozenset({"de", "nl"})


def object_to_wording(asked: str, cached: str, language: str) -> Objection | None:
    """The first word that only one of the two has. Symmetric."""
    left, right = (_bare(text, language) for text in (asked, cached))
    if left == right or (language in VERB_LAST and (_moved(left, right) or _moved(right, left))):
        return None
    at = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)
    if at is not None:
        return differs("wording", left[at], right[at])
    longer, shorter = sorted((left, right), key=len, reverse=True)
    return only_one("wording", longer[len(shorter)])


def _bare(text: str, language: str) -> list[str]:
    """The words that carry the question, without endings of number and person."""
    frames = with_frames()[language]
    return [_root(word) for word in WORD.findall(text.lower()) if word not in frames and _plain(word) not in frames]


def _plain(word: str) -> str:
    """Accents left out, as people type; "ß" is "ss"."""
    parts = unicodedata.normalize("NFD", word.replace("ß", "ss"))
    return "".join(each for each in parts if unicodedata.category(each) != "Mn")


def _root(word: str) -> str:
    """Accents are compared by the guard `spelling`."""
    plain = _plain(word)
    ending = next((each for each in ENDINGS if plain.endswith(each) and len(plain) - len(each) >= ROOT), "")
    root = plain.removesuffix(ending)
    return root[:-1] if root.endswith("e") and len(root) > ROOT else root


def _moved(one: list[str], other: list[str]) -> bool:
    """A verb that stands in front in one text stands at the end of the other ("finde ich", "kann ich finden"), with the
    particle before it ("setze zurück", "zurücksetzen")."""
    for at in range(min(2, len(one) - 1)):
        rest, verb = one[:at] + one[at + 1 :], one[at]
        if other in ([*rest, verb], [*rest[:-1], rest[-1] + verb]):
            return True
    return False
