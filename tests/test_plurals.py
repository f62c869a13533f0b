"""Nouns agree with their counts."""

import pytest

from aiinfra.plurals import plural


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls"), (1_234, "1,234 calls"), (-1, "-1 calls")]
)
def test_the_noun_agrees_with_its_count(number: int, text: str) -> None:
    assert plural(number, "call") == text
