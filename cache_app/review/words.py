"""Word differences between two texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
TOKENS_MAX = 1_500
"""The comparison is quadratic in the worst case; longer texts are shown without marks."""


@dataclass(frozen=True)
class Piece:
    """A part of a text, and whether the other text lacks it. Together the pieces make up the text."""

    text: str
    differs: bool


def compared(one: str, other: str) -> tuple[Sequence[Piece], Sequence[Piece]]:
    """The pieces of both texts, unescaped: the caller escapes them. Whitespace alone makes no difference."""
    left, right = TOKEN.findall(one), TOKEN.findall(other)
    if max(len(left), len(right)) > TOKENS_MAX:
        return [Piece(one, differs=False)], [Piece(other, differs=False)]
    matcher = SequenceMatcher(None, list(map(_folded, left)), list(map(_folded, right)), autojunk=False)
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        for side, text in zip(pieces, (left[left_from:left_to], right[right_from:right_to]), strict=True):
            side.extend(_pieces("".join(text), differs=tag != "equal"))
    return pieces


def _pieces(text: str, *, differs: bool) -> list[Piece]:
    """Whitespace at the edges of a difference is not marked."""
    if not differs:
        return [Piece(text, differs=False)] if text else []
    words = text.strip()
    before, _, after = text.partition(words) if words else (text, "", "")
    return [Piece(part, part == words) for part in (before, words, after) if part]


def _folded(token: str) -> str:
    """Case does not make a different word, and all whitespace is alike."""
    return " " if token.isspace() else token.casefold()
