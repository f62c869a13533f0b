"""Compares codes and identifiers: ESRS E1-6, A12, scope 1, ISO 27001, GPT-4, v2.1, 2FA, order numbers."""

import re
import unicodedata

from cache_app.guards.objection import Objection, differs, only_one
from cache_app.guards.tables import words

LABELLED = re.compile(
    rf"\b({'|'.join(sorted(words('labels')))})s?(?:[\s:#-]+(?:(?:number|no\.?|nr\.?)\s*)?#?|(?=\d))(\d+(?:\.\d+)*[a-z]?|[ivx]+|[a-e])\b",
    re.IGNORECASE,
)
VERSION = re.compile(r"\bv\.?\s?(\d+(?:\.\d+)*)\b|\b(\d+\.\d+\.\d+(?:\.\d+)*)\b", re.IGNORECASE)
MIXED = re.compile(r"\b(?=[\w./-]{0,40}[^\W\d_])(?=[\w./-]{0,40}\d)[^\W_](?:[\w]|[./-](?=\w))*\b")
LONG_NUMBER = re.compile(r"#\s?(\d+)\b")
AMOUNT = re.compile(
    r"^[\d.,]+(?:st|nd|rd|th|s|k|m|bn|mn|x)?$|^[\d.,]+-?[^\W\d_]{1,12}(?:-[^\W\d_]+)*$|^[^\W\d_]+-[\d.]+-[^\W\d_]+$"
)
CODE_OF_DIGITS_FIRST = re.compile(r"^(?:\d[a-jln-z]\w?|\d+[A-Z]{1,3}\d*|3d|2d|[345]g)$")
HASH = re.compile(r"\b([a-f]{7,40})\b", re.IGNORECASE)
"""A hash can do without digits."""
POWER_OF_TEN = re.compile(r"^\d+(?:\.\d+)?e-\d+$")
ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "x": "10"}
HINT = re.compile(r"\d|\b(?:[ivx]+|[b-e]|[a-f]{7,40})\b|₂", re.IGNORECASE)
"""No pattern can match without one of these."""
GASES = re.compile(r"\bco2[\s-]?(?:eq?|equivalents?)?\b|\bco₂e?\b", re.IGNORECASE)


def take_codes(text: str) -> tuple[frozenset[str], str]:
    """The codes of a text without separators, and the text with codes blanked out."""
    codes: set[str] = set()
    if not HINT.search(text):
        return frozenset(), text
    text = GASES.sub(" carbon ", text)
    for pattern, name in (
        (LABELLED, _labelled),
        (VERSION, _version),
        (MIXED, _mixed),
        (LONG_NUMBER, _number),
        (HASH, _hash),
    ):
        matches = [match for match in pattern.finditer(text) if name(match)]
        codes |= {name(match) for match in matches}
        for match in reversed(matches):
            text = text[: match.start()] + f" {_label(match)} " + text[match.end() :]
    return frozenset(codes), text


def _labelled(match: re.Match[str]) -> str:
    number = match[2].lower()
    if number in ("i", "a"):
        return ""  # "in case I leave", "order a taxi"
    return f"{match[1].lower()} {ROMAN.get(number, number)}"


def _label(match: re.Match[str]) -> str:
    """Keep the word before a number, because texts about scopes are more alike than their codes."""
    return match[1] if match.re is LABELLED else ""


def _version(match: re.Match[str]) -> str:
    return "version " + (match[1] or match[2])


def _number(match: re.Match[str]) -> str:
    return match[1]


def _hash(match: re.Match[str]) -> str:
    return match[1].lower()


def _mixed(match: re.Match[str]) -> str:
    """Whether a word mixes letters and digits and is not an amount such as 5kg, 3rd, 2-bedroom."""
    written = match[0]
    if AMOUNT.match(written) and not CODE_OF_DIGITS_FIRST.match(written):
        return ""
    written = unicodedata.normalize("NFKC", written).lower()
    return written if POWER_OF_TEN.match(written) else re.sub(r"[^\w.]|_", "", written)


def object_to_codes(asked: frozenset[str], cached: frozenset[str]) -> Objection | None:
    """Object unless both texts have the same codes."""
    left, right = sorted(asked - cached), sorted(cached - asked)
    if left and right:
        return differs("codes", left[0], right[0])
    return only_one("codes", (left or right)[0]) if left or right else None
