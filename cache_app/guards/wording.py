"""Compares German, French, Spanish, Italian, Portuguese, and Dutch: only small words may differ.

Without lists of opposites for these languages, the rule is reversed: every word must be in both texts, in the same
order, except for optional ones ("puis-je", "por favor"). Negations, prepositions, and nouns are never optional.
"""

import re
import unicodedata

from cache_app.guards.language import with_frames
from cache_app.guards.objection import Objection, differs, only_one

WORD = re.compile(r"[^\W_]+")
ENDINGS = ("en", "n", "s")
ROOT = 4
"""Minimum letters left after removing an ending."""
VERB_LAST = frozenset({"de", "nl"})


def object_to_wording(asked: str, cached: str, language: str) -> Objection | None:
    """Object to the first word that only one text has. Symmetric."""
    left, right = (_bare(text, language) for text in (asked, cached))
    if left == right or (language in VERB_LAST and (_moved(left, right) or _moved(right, left))):
        return None
    at = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)
    if at is not None:
        return differs("wording", left[at], right[at])
    longer, shorter = sorted((left, right), key=len, reverse=True)
    return only_one("wording", longer[len(shorter)])


def _bare(text: str, language: str) -> list[str]:
    """The words that carry the question, without inflectional endings."""
    frames = with_frames()[language]
    return [_root(word) for word in WORD.findall(text.lower()) if word not in frames and _plain(word) not in frames]


def _plain(word: str) -> str:
    """Remove accents, as users often omit them; "ß" becomes "ss"."""
    parts = unicodedata.normalize("NFD", word.replace("ß", "ss"))
    return "".join(each for each in parts if unicodedata.category(each) != "Mn")


def _root(word: str) -> str:
    """The guard `spelling` compares accents."""
    plain = _plain(word)
    ending = next((each for each in ENDINGS if plain.endswith(each) and len(plain) - len(each) >= ROOT), "")
    root = plain.removesuffix(ending)
    return root[:-1] if root.endswith("e") and len(root) > ROOT else root


def _moved(one: list[str], other: list[str]) -> bool:
    """Whether a verb moved from the front of one text to the end of the other ("finde ich", "kann ich finden"), with
    its particle prefixed ("setze zurück", "zurücksetzen").
    """
    for at in range(min(2, len(one) - 1)):
        rest, verb = one[:at] + one[at + 1 :], one[at]
        if other in ([*rest, verb], [*rest[:-1], rest[-1] + verb]):
            return True
    return False
