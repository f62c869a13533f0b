"""Pairs that differ in a letter, a short word, a symbol, or the word order: different questions, and typos of one."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from cache_app.embedding.base import Scale
from cache_app.guards.decision import decide
from cache_app.metrics.reasons import GUARDS

SCALE = Scale(edge=0.85, clear=0.90, near=0.75)
FILE = Path(__file__).parent / "minimal_pairs.jsonl"


def by_category() -> dict[str, list[tuple[str, str, bool]]]:
    """The labeled pairs of the file by category. The two texts of a "repeat" pair are the same question."""
    found = defaultdict(list)
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["category"]].append((row["a"], row["b"], bool(row["same"])))
    return found


@pytest.mark.parametrize("category", by_category())
def test_every_pair_is_judged_as_labeled_in_both_directions(category: str) -> None:
    wrong = [
        (asked, cached)
        for one, other, same in by_category()[category]
        for asked, cached in ((one, other), (other, one))
        if decide(asked, cached, 0.97, 0.85, SCALE).serve != same
    ]
    assert wrong == []


def test_every_refusal_has_a_label_on_the_cache_page() -> None:
    pairs = [(one, other) for rows in by_category().values() for one, other, same in rows if not same]
    assert {decide(*pair, 0.97, 0.85, SCALE).guard for pair in pairs} <= GUARDS.keys()


def test_the_pairs_cover_traps_and_repeats() -> None:
    pairs = by_category()
    assert len(pairs.pop("repeat")) >= 100
    assert sum(map(len, pairs.values())) >= 500
