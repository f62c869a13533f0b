"""Compares identifiers in code and acronyms, where the case, order and separators of the parts carry meaning.

Careless typing drops capitals, in whole texts and in single words ("docker compose", "pdf"). It does not add or move
capitals, and does not swap parts: foo.bar and bar.foo.
"""

import re
from collections import defaultdict
from itertools import product

from cache_app.guards.objection import Objection, differs
from cache_app.guards.tables import known_words, words

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")
SENTENCE_START = re.compile(r"(?:^|[.!?:;]\s+|\n)[\s\"'“\u2018¿¡(]*$")
INNER_CAPITAL = re.compile(r"[^\W\d_A-Z][A-Z]")
IDENTIFIER = re.compile(r"[a-z]{2,}[A-Z]\w")
"""userId, but not iPhone, eBay, pH."""
SIGN_NOUNS = frozenset({"letter", "unit", "symbol", "note", "key"})
"""Next to one of these, one or two letters are not a word: the letter B, the unit Mg."""
SIGN_LENGTH = 2
PREFIXED = re.compile(r"[mM][A-Z][a-z]?")
"""mT and MT: the prefix is a thousandth or a million."""
LETTER = re.compile(
    r"(?<=[\w,;:] )(?:[B-HJ-Z]\b(?![\w'\u2019])|A\b(?=\s*(?:[.,;?!)]|$|(?:and|or|with|to|from|than)\b)))"
)
"""A capital letter that names something; not the article, not I."""
CALLED = re.compile(r"\b[^\W\d_]\w*(?=\()")
VOWEL = re.compile(r"[aeiouy]")
PART = r"[^\W_]+"
JOINT = r"(?:[.:/@_|+*=<>&^%\\,\-\[\]()])+"
COMPOUND = re.compile(rf"{PART}(?:{JOINT}{PART})+")
PARTS = re.compile(PART)
LONGEST_COMPOUND = 20
LOOSE_JOINTS = frozenset("-/")
"""Marks that people set or leave out inside words."""


def object_to_case(asked: str, cached: str) -> Objection | None:
    """Two texts of the same words, both with capitals: a word whose capitals are its meaning."""
    apart = [(one, other, beside) for one, other, beside in _aligned(asked, cached) if one != other and one.isascii()]
    for one, other, beside in apart:
        if _are_two(one, other) or (_names_code(one, beside) and one.lower() not in words("acronyms")):
            return differs("spelling", one, other)
    called = [set(CALLED.findall(text)) for text in (asked, cached)]
    if called[0] != called[1]:
        return differs("spelling", min(called[0] ^ called[1]), max(called[0] ^ called[1]))
    grown = [sum(map(str.isupper, one)) > sum(map(str.isupper, other)) for one, other, _ in apart]
    if len(set(grown)) > 1:
        return differs("spelling", apart[0][0], apart[0][1])
    return None


def _aligned(asked: str, cached: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """The words of two texts side by side with their neighbors, without those that begin a sentence."""
    left, right = list(WORD.finditer(asked)), list(WORD.finditer(cached))
    lower = [match[0].lower() for match in left]
    return [
        (one[0], other[0], tuple(lower[max(0, at - 1) : at] + lower[at + 1 : at + 2]))
        for at, (one, other) in enumerate(zip(left, right, strict=False))
        if not (_begins(asked, one) or _begins(cached, other)) and one[0] not in ("I", "i")
    ]


def _begins(text: str, match: re.Match[str]) -> bool:
    start = match.start()
    return start == 0 or SENTENCE_START.search(text, max(0, start - 8), start) is not None


def _are_two(one: str, other: str) -> bool:
    """userId and userID; FOO and foo, but not PDF and pdf."""
    if INNER_CAPITAL.search(one) and INNER_CAPITAL.search(other):
        return True
    if any(IDENTIFIER.match(each) for each in (one, other)):
        return not _is_common(one)
    if PREFIXED.fullmatch(one) and PREFIXED.fullmatch(other):
        return one[1:] == other[1:]
    shouted = one.isupper() != other.isupper() and len(one) > 1
    return shouted and VOWEL.search(one.lower()) is not None and one.lower() not in words("acronyms")


def _names_code(word: str, beside: tuple[str, ...]) -> bool:
    nouns = words("code_nouns") | SIGN_NOUNS if len(word) <= SIGN_LENGTH else words("code_nouns")
    return not nouns.isdisjoint(beside)


def _is_common(word: str) -> bool:
    return word.lower() in known_words() or word.lower() in words("acronyms")


def object_to_letters(asked: str, cached: str) -> Objection | None:
    """Object if both texts name things by capital letters, but not by the same ones as often."""
    left, right = (sorted(LETTER.findall(text)) for text in (asked, cached))
    if not left or not right or left == right:
        return None
    return differs("entities", ", ".join(left), ", ".join(right))


def object_to_compounds(asked: str, cached: str) -> Objection | None:
    """Words joined without blanks that have the same parts in another order, in another number, or other joints."""
    left, right = _compounds(asked), _compounds(cached)
    for key in sorted(left.keys() & right.keys(), key=sorted):
        if left[key].keys().isdisjoint(right[key].keys()):
            return differs("order", min(left[key].values()), min(right[key].values()))
        for parts in left[key].keys() & right[key].keys():
            one, other = left[key][parts], right[key][parts]
            if _joints_differ(one, other):
                return differs("symbols", one, other)
    return None


def object_to_parts(asked: str, cached: str) -> Objection | None:
    """Object to compounds of three or more parts that differ in one: well-to-wheel, tank-to-wheel."""
    left, right = ({parts for found in _compounds(text).values() for parts in found} for text in (asked, cached))
    for one, other in product(sorted(left - right), sorted(right - left)):
        if len(one) == len(other) > 2 and sum(map(str.__ne__, one, other)) == 1:
            return differs("codes", "-".join(one), "-".join(other))
    return None


def _compounds(text: str) -> dict[frozenset[str], dict[tuple[str, ...], str]]:
    """To a set of parts each sequence of them in the text, with how it is written."""
    found: dict[frozenset[str], dict[tuple[str, ...], str]] = defaultdict(dict)
    for match in COMPOUND.finditer(text):
        parts = tuple(part.lower() for part in PARTS.findall(match[0]))
        if len(parts) <= LONGEST_COMPOUND:
            found[frozenset(parts)].setdefault(parts, match[0])
    return found


def _joints_differ(one: str, other: str) -> bool:
    left, right = (PARTS.sub(" ", each).split() for each in (one, other))
    is_word = any(map(str.isalpha, one))
    return is_word and left != right and LOOSE_JOINTS.isdisjoint("".join((*left, *right)))
