"""Benchmark of how well the guards generalize to unseen pairs, on random halves of labeled pairs.

Run with `python benchmarks/cache_halves.py [FOLDER]` on files `*pairs.jsonl`. Each file is cut into two halves 20
times, by fixed seeds; pairs of one `group` stay together. Prints mean, minimum and maximum of the second halves:

- `all lists`: all word lists.
- `half's lists`: only those lines of the lists of opposites that refuse a pair of the *first* half. Other lines count
  as unknown, as if the lists had been written on the first half.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np

from benchmarks.cache_quality import OWN, SCALE, Row, pairs_of, rows_of
from cache_app.guards import vetoes
from cache_app.guards.calibration import Outcome, Pair, outcome
from cache_app.guards.decision import decide
from cache_app.guards.opposites import opposing_lines
from cache_app.guards.parsing import parse

SEEDS = range(20)
THRESHOLD = SCALE.edge


@dataclass(frozen=True)
class Judged:
    """A pair, whether it is served with and without the lists of opposites, and the lines that object."""

    pair: Pair
    group: object
    with_lists: bool
    without_lists: bool
    lines: frozenset[tuple[str, int]]


def judged(rows: Sequence[Row]) -> list[Judged]:
    """The pairs of a file with their verdicts."""
    pairs = pairs_of(rows)
    with_lists = [_serves(pair) for pair in pairs]
    original = vetoes.object_to_opposites
    vetoes.object_to_opposites = lambda _asked, _cached: None
    try:
        without_lists = [_serves(pair) for pair in pairs]
    finally:
        vetoes.object_to_opposites = original
    lines = [opposing_lines(parse(pair.asked), parse(pair.cached)) for pair in pairs]
    groups = [row.get("group", at) for at, row in enumerate(rows)]
    return [Judged(*each) for each in zip(pairs, groups, with_lists, without_lists, lines, strict=True)]


def _serves(pair: Pair) -> bool:
    return decide(pair.asked, pair.cached, pair.similarity, THRESHOLD, SCALE).serve


def second_half(found: Sequence[Judged], seed: int) -> tuple[Outcome, Outcome]:
    """The second half with all lists, and with only the lines that the first half needs."""
    groups = sorted({str(each.group) for each in found})
    chosen = set(np.random.default_rng(seed).permutation(groups)[: len(groups) // 2])
    known = {line for each in found if str(each.group) in chosen for line in each.lines}
    rest = [each for each in found if str(each.group) not in chosen]
    pairs = [each.pair for each in rest]
    unknown = [each.with_lists or (each.without_lists and known.isdisjoint(each.lines)) for each in rest]
    return outcome(pairs, [each.with_lists for each in rest], THRESHOLD), outcome(pairs, unknown, THRESHOLD)


def spread(shares: Iterable[float]) -> str:
    """Mean (minimum to maximum)."""
    found = list(shares)
    return f"{np.mean(found):6.1%} ({min(found):.1%} to {max(found):.1%})"


def main(folder: Path) -> None:
    """Print the results of every file of pairs in a folder."""
    for path in sorted(folder.glob("*pairs.jsonl")):
        found = judged(rows_of(path))
        halves = list(zip(*(second_half(found, seed) for seed in SEEDS), strict=True))
        print(f"\n{path.name}: {len(SEEDS)} random halves at {THRESHOLD:.2f}")
        for name, outcomes in zip(("all lists", "half's lists"), halves, strict=True):
            recall, wrong = (spread(getattr(each, share) for each in outcomes) for share in ("recall", "wrong_share"))
            print(f"{name:14} recall {recall}   wrong of served {wrong}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OWN)
