"""Compares spelling differences that change a question: case, accents, quotes, punctuation, scripts.

The rules are narrow, because the most common true repeat is the same text typed carelessly: in lower case, without
accents, without the final punctuation.
"""

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterator

from cache_app.guards.identifiers import object_to_case
from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.stems import stem
from cache_app.guards.tables import terms, words

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")
QUOTED = re.compile(
    r"(?<!\w)'([^'\n]{1,200})'(?!\w)|\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|\u2018([^\u2019\n]{1,200})\u2019(?!\w)"
    r"|«([^»\n]{1,200})»|„([^“”\n]{1,200})[“”]|「([^」\n]{1,200})」|`([^`\n]{1,200})`"
)
QUOTED_WORDS = 4
"""Longer quotations are passages, which users shorten."""
INNER_MARK = re.compile(r"[,;:\u2013\u2014](?=\s*[^\s,;:])|[.!?](?=\s+\S)")
LONE_WORD = re.compile(r"^\W*[^\W\d_]+,\s+\S|\S,\s+[^\W_]+\W*$")
"""A comma after the first or before the last word may address a person: "eat, Grandma", "no, thanks are due"."""
ENDS = re.compile(r"([.!?])[\s\"'”\u2019)]*$")
OWNER = re.compile(r"[^\W\d_]+['\u2019][^\W\d_]*")
PLAIN_DOUBLES = frozenset({"us", "who", "it"})
"""Small words in lower case, which also differ in rephrased texts."""
SENTENCE_START = re.compile(r"(?:^|[.!?:;]\s+|\n)[\s\"'“\u2018¿¡(]*$")
MARKS = 2
"""From this many inner marks, the same words are a different sentence. A single comma is often omitted."""
LETTERS_OF_SCRIPTS = re.compile(r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff]+")


def object_to_spelling(asked: str, cached: str) -> Objection | None:
    """The first relevant spelling difference. Symmetric. Expects decomposed compatibility characters."""
    return (
        _quoted_differ(asked, cached)
        or _case_differs(asked, cached)
        or _accents_differ(asked, cached)
        or _owners_differ(asked, cached)
        or _marks_differ(asked, cached)
    )


def object_to_script(asked: str, cached: str) -> Objection | None:
    """Object unless words in other scripts are the same: inside an English text, they are its subject."""
    left, right = ([_word_or_sign(each) for each in LETTERS_OF_SCRIPTS.findall(text)] for text in (asked, cached))
    if left == right:
        return None
    return differs("entities", " ".join(left), " ".join(right))


def _word_or_sign(letters: str) -> str:
    """Ω and ω are two signs; the case of a word counts as little as in English."""
    return letters if len(letters) == 1 else letters.lower()


def _quoted_differ(asked: str, cached: str) -> Objection | None:
    """Object unless short quotations are the same: a question about words is about exactly these."""
    left, right = (sorted(_quotes(text)) for text in (asked, cached))
    if not left or not right or left == right or max(each.count(" ") for each in (*left, *right)) >= QUOTED_WORDS:
        return None
    return differs("strict", "; ".join(left), "; ".join(right))


def _quotes(text: str) -> Iterator[str]:
    for match in QUOTED.finditer(text):
        quoted = " ".join(WORD.findall(next(filter(None, match.groups()), "")))
        yield quoted if len(quoted) == 1 else quoted.casefold().replace("\u2019", "'")


def _case_differs(asked: str, cached: str) -> Objection | None:
    """Object to words whose meaning depends on case: US and us, Polish and polish, MB and mb. Ignored if a text is
    completely lowercase or uppercase.
    """
    if any(text == text.lower() or text == text.upper() for text in (asked, cached)):
        return None
    left, right = _inner_forms(asked), _inner_forms(cached)
    doubles = words("doubles") if _written(asked) == _written(cached) else PLAIN_DOUBLES
    for lower in sorted(doubles & left.keys() & right.keys()):
        if left[lower].isdisjoint(right[lower]):
            return differs("spelling", min(left[lower]), min(right[lower]))
    return object_to_case(asked, cached) if _written(asked) == _written(cached) else None


def _written(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _inner_forms(text: str) -> dict[str, set[str]]:
    """Lowercase word -> its spellings inside sentences."""
    found: dict[str, set[str]] = {}
    for match in WORD.finditer(text):
        if not SENTENCE_START.search(text, max(0, match.start() - 8), match.start()):
            found.setdefault(match[0].lower(), set()).add(match[0])
    return found


def _accents_differ(asked: str, cached: str) -> Objection | None:
    """Object if one word differs only in accents. Accents missing in several words, or in rephrased texts, were just
    not typed.
    """
    left, right = _by_plain(asked), _by_plain(cached)
    apart = [(left[key], right[key]) for key in sorted(left.keys() & right.keys()) if left[key].isdisjoint(right[key])]
    reworded = list(map(_plain, _written(asked))) != list(map(_plain, _written(cached)))
    is_typing = reworded or len(apart) > 1
    if not apart or (is_typing and any(each.isascii() for each in (*apart[0][0], *apart[0][1]))):
        return None
    return differs("spelling", min(apart[0][0]), min(apart[0][1]))


def _by_plain(text: str) -> dict[str, set[str]]:
    """Word without accents -> its spellings."""
    found: dict[str, set[str]] = {}
    for word in _written(text):
        found.setdefault(_plain(word), set()).add(word)
    return found


def _plain(word: str) -> str:
    if word.isascii():
        return word
    return "".join(each for each in unicodedata.normalize("NFD", word) if unicodedata.category(each) != "Mn")


def _owners_differ(asked: str, cached: str) -> Objection | None:
    """Object to an apostrophe in different places: the boy's and the boys'. A missing one was just omitted."""
    left, right = ({_letters(word): _letters(word, "'") for word in OWNER.findall(text)} for text in (asked, cached))
    apart = [(left[key], right[key]) for key in sorted(left.keys() & right.keys()) if left[key] != right[key]]
    return differs("spelling", *apart[0]) if apart else None


def _letters(word: str, apostrophe: str = "") -> str:
    return word.lower().replace("\u2019", "'").replace("'", apostrophe)


def _marks_differ(asked: str, cached: str) -> Objection | None:
    """Object to other punctuation of the same words: "the book: Trump, or Obama", "the book Trump or Obama"."""
    written = _written(asked)
    if written != _written(cached):
        return None
    left, right = _marks(asked), _marks(cached)
    apart = [left.get(at) or right[at] for at in sorted(left.keys() ^ right.keys())]
    weight = sum(MARKS if mark in ":;" else 1 for mark in apart)
    if weight >= MARKS or (apart and _addresses(asked) != _addresses(cached)):
        return only_one("spelling", " ".join(apart))
    found = [ENDS.search(text) for text in (asked, cached)]
    ends = {match[1] == "?" for match in found if match}
    if len(ends) == 2 and written and written[0] not in words("asking"):
        return only_one("spelling", "?")
    return None


def _marks(text: str) -> dict[int, str]:
    """The inner marks, by the number of words before them."""
    starts = [match.start() for match in WORD.finditer(text)]
    return {bisect(starts, match.start()): match[0] for match in INNER_MARK.finditer(text)}


def _addresses(text: str) -> bool:
    match = LONE_WORD.search(text)
    return match is not None and terms("frames").isdisjoint(map(stem, _written(match[0])))
