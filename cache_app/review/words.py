"""Which words of two texts differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
TOKENS_MAX = 1_500
"""The comparison is quadratic in the worst case; longer texts are shown unmarked."""


@dataclass(frozen=True)
class Piece:
    """A part of a text: what the other one has too, or what it has not. The pieces together are the text."""

    text: str
    differs: bool


def compared(one: str, other: str) -> tuple[Sequence[Piece], Sequence[Piece]]:
    """The pieces of both texts, as they are: whoever shows them escapes them. Blanks alone make no difference."""
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
    """Blanks at the edge of what differs are left out of the mark."""
    if not differs:
        return [Piece(text, differs=False)] if text else []
    words = text.strip()
    before, _, after = text.partition(words) if words else (text, "", "")
    return [Piece(part, part == words) for part in (before, words, after) if part]


def _folded(token: str) -> str:
    """Case is no other word, and one blank is like another."""
    return " " if token.isspace() else token.casefold()
