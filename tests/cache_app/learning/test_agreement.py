"""When two answers agree."""

from collections.abc import Sequence

import numpy as np
import pytest

from cache_app.embedding.base import Payer, Scale, Vector
from cache_app.learning.agreement import agreement, same_numbers


class ByFirstWord:
    """Maps a text to one of two vectors by its first word and records what it embeds."""

    id, dimensions, scale = "by-first-word/1", 2, Scale(edge=0.85, clear=0.9, near=0.75)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def prepare(self) -> None:
        """Nothing to load."""

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:  # noqa: ARG002 - free
        self.texts += texts
        return [np.array([1, 0] if text.startswith("a") else [0, 1], dtype=np.float32) for text in texts]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It is 1,500 t.", "1500 t it is.", True),
        ("1. First\n2) Second", "First, then second", True),
        ("In 2023.", "In 2024.", False),
        ("Yes.", "Yes, 3 of them.", False),
        ("3.5 %", "35 %", False),
        ("1.5 and 1.5", "1.5", True),
        ("", "", True),
    ],
)
def test_numbers_match_in_any_order_and_notation(one: str, other: str, same: bool) -> None:
    assert same_numbers(one, other) == same_numbers(other, one) == same


def test_long_answers_are_compared_by_the_mean_of_their_first_three_chunks() -> None:
    embedder = ByFirstWord()
    long = " ".join(["a"] * 200 + ["b"] * 600)
    assert agreement(embedder, long, "a short one", Payer(1)) == pytest.approx(1 / 5**0.5)
    assert [len(text.split()) for text in embedder.texts] == [200, 200, 200, 3]


def test_empty_answers_agree() -> None:
    assert agreement(ByFirstWord(), "", "", Payer(1)) == pytest.approx(1)
