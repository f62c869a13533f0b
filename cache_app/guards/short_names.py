"""Compares names that differ by one letter (Meier and Maier, Simon and Simone), and acronyms (GOOG and GOOGL).

In an ordinary word, one wrong letter is a typo; in a name, it is another person. Only differences that do not
make another name count as typos: a doubled letter, and in a long name a missing letter or two swapped ones.
"""

import re
import unicodedata

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.parsing import Parsed
from cache_app.guards.stems import is_one_edit, stem
from cache_app.guards.tables import meanings

SHORT = re.compile(r"(?<![\w.'\u2019/-])[A-Z][A-Z&]+(?![\w\u2019'-])|(?<=[/-])[A-Z]{2,}(?![\w-])")
REGION = re.compile(r"\b([a-z]{2,3})[-_]([A-Z]{2,4})\b")
WORD = re.compile(r"[^\W_]+")
LONG_NAME = 6
VERY_LONG_NAME = 8
"""From this length on, a wrong vowel is a typo, too."""
ENDING = 2
"""Letters at the end of a name that distinguish Christian from Christina."""
NAMES_MAX = 20
"""Names of a text that are compared with those of the other: more are a list."""
DOUBLE = re.compile(r"(.)\1")


def object_to_short_names(asked: Parsed, cached: Parsed) -> Objection | None:
    """Each text has a name that is almost the other's, or a short form that the other does not have."""
    for one in sorted(asked.capitals - cached.words)[:NAMES_MAX]:
        for other in sorted(cached.capitals - asked.words)[:NAMES_MAX]:
            shorter, longer = sorted((one, other), key=len)
            reworded = longer[:-1] == shorter and len(asked.sequence) != len(cached.sequence)
            near = is_one_edit(one, other) or is_one_edit(stem(one), stem(other))
            if near and not reworded and not _is_typed(shorter, longer):
                return differs("entities", one, other)
    return _regions_differ(asked, cached) or _short_forms_differ(asked, cached) or _short_form_added(asked, cached)


def _is_typed(shorter: str, longer: str) -> bool:
    """The same name: in the plural, as an adjective, without an accent, or with a typo."""
    if len(shorter) < 2 or longer == shorter + "s" or (longer == shorter + "n" and shorter.endswith("a")):
        return True
    if _plain(shorter) == _plain(longer):
        return True
    if len(shorter) < LONG_NAME or shorter[-ENDING:] != longer[-ENDING:]:
        return False
    return (
        len(shorter) != len(longer) or sorted(shorter) == sorted(longer) or _consonants(shorter) == _consonants(longer)
    )


def _plain(name: str) -> str:
    """Without accents and double letters."""
    parts = unicodedata.normalize("NFD", name)
    return DOUBLE.sub(r"\1", "".join(each for each in parts if unicodedata.category(each) != "Mn"))


def _consonants(name: str) -> str:
    return re.sub("[aeiou]", "", name) if len(name) >= VERY_LONG_NAME else name


def _regions_differ(asked: Parsed, cached: Parsed) -> Objection | None:
    """One language in two countries: pt-BR and pt-PT."""
    left, right = (dict(REGION.findall(parsed.text)) for parsed in (asked, cached))
    language = next((each for each in sorted(left.keys() & right.keys()) if left[each] != right[each]), None)
    return differs("entities", left[language], right[language]) if language else None


def _short_forms_differ(asked: Parsed, cached: Parsed) -> Objection | None:
    if asked.text.isupper() or cached.text.isupper():
        return None
    left, right = (set(SHORT.findall(parsed.text)) for parsed in (asked, cached))
    for one in sorted(each for each in left if each.lower() not in cached.words)[:NAMES_MAX]:
        for other in sorted(each for each in right if each.lower() not in asked.words)[:NAMES_MAX]:
            if not _is_spelled_out(one, other, asked, cached):
                return differs("entities", one, other)
    return None


def _short_form_added(asked: Parsed, cached: Parsed) -> Objection | None:
    """One word in capitals is all that one text has beyond the other: UNION, UNION ALL."""
    left, right = sorted((WORD.findall(parsed.text) for parsed in (asked, cached)), key=len)
    if len(right) != len(left) + 1:
        return None
    at = next((n for n, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), len(left))
    is_added = left == right[:at] + right[at + 1 :] and len(right[at]) > 1 and right[at].isupper()
    return only_one("entities", right[at]) if is_added else None


def _is_spelled_out(one: str, other: str, asked: Parsed, cached: Parsed) -> bool:
    """The two mean the same, or one of them is the other text's words in short."""
    left, right = (meanings().get(stem(each.lower()), frozenset()) for each in (one, other))
    return not left.isdisjoint(right) or _initials_of(cached, one) or _initials_of(asked, other)


def _initials_of(parsed: Parsed, short: str) -> bool:
    return short.lower() in "".join(word[0] for word in parsed.sequence if word)
