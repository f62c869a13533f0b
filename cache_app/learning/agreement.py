"""Whether two answers to one question say the same thing."""

import re
from collections.abc import Sequence

import numpy as np

from cache_app.embedding.base import Embedder, Payer, Vector

PIECE_WORDS = 200
"""About as much as an embedder sees of a text."""
PIECES_MAX = 3
LIST_MARK = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def agreement(embedder: Embedder, one: str, other: str, payer: Payer) -> float:
    """The cosine of two answers, by the first 600 words of each. Raises EmbedderError."""
    pieces, others = _pieces(one), _pieces(other)
    vectors = embedder.embed([*pieces, *others], payer)
    return float(np.dot(_mean(vectors[: len(pieces)]), _mean(vectors[len(pieces) :])))


def same_numbers(one: str, other: str) -> bool:
    """Whether the numbers in digits are the same, ignoring order and repetition. List markers do not count."""
    return _numbers(one) == _numbers(other)


def _numbers(text: str) -> set[str]:
    return set(NUMBER.findall(THOUSANDS.sub("", LIST_MARK.sub("", text))))


def _pieces(text: str) -> list[str]:
    words = text.split()[: PIECE_WORDS * PIECES_MAX]
    return [" ".join(words[start : start + PIECE_WORDS]) for start in range(0, len(words), PIECE_WORDS)] or [""]


def _mean(vectors: Sequence[Vector]) -> Vector:
    mean: Vector = np.mean(vectors, axis=0)
    return mean / np.float32(np.linalg.norm(mean) or 1)
