"""Benchmark of wrong answers: labeled pairs, a stream of questions, and conversations, compared with plain cosine and
GPTCache.

Run with `python benchmarks/cache_quality.py [FOLDER]`; without a folder, uses the project's own small set. Files are
known by their names: `*pairs.jsonl` (a, b, same), `*clusters.jsonl` (cluster, qs), `*conversations.jsonl` (message
lists in a and b, same). Every figure is a share of true repeats that are served, and of wrong ones among the served.
GPTCache's default accepts a squared distance up to 0.8, which is a cosine of 0.60, and looks at the last message only.
"""

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiinfra.settings")

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import django
import numpy as np

django.setup()

from cache_app.embedding.base import Payer, Vector
from cache_app.embedding.minilm import MiniLmEmbedder
from cache_app.guards.calibration import PRINTED, Outcome, Pair, guarded, outcome, plain
from cache_app.guards.decision import decide
from cache_app.question import Question

OWN = Path(__file__).resolve().parent.parent / "tests" / "cache_app" / "guards"
GPTCACHE = 0.60
CANDIDATES = 3
"""The number of neighbors that the cache considers."""
SCALE = MiniLmEmbedder.scale
Row = dict[str, Any]


@cache
def vector(text: str) -> Vector:
    """The text's embedding from the local embedder."""
    return MiniLmEmbedder().embed([text], Payer(0))[0]


def rows_of(path: Path) -> list[Row]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def pairs_of(rows: Iterable[Row]) -> list[Pair]:
    """Labeled pairs with their cosines."""
    return [Pair(row["a"], row["b"], bool(row["same"]), float(vector(row["a"]) @ vector(row["b"]))) for row in rows]


def conversations_of(rows: Iterable[Row]) -> tuple[list[Pair], list[bool]]:
    """The last turns as pairs, and whether both are in one partition."""
    questions = [[Question(1, "openai", "m", row[side]) for side in ("a", "b")] for row in rows]
    pairs = pairs_of(
        {"a": one.text, "b": other.text, "same": row["same"]} for row, (one, other) in zip(rows, questions, strict=True)
    )
    return pairs, [one.partition(MiniLmEmbedder.id) == other.partition(MiniLmEmbedder.id) for one, other in questions]


def partitioned(pairs: Sequence[Pair], together: Sequence[bool], threshold: float) -> Outcome:
    """Results of the cache for conversations: equal earlier turns, then the last turns."""
    served = [
        near and decide(pair.asked, pair.cached, pair.similarity, threshold, SCALE).serve
        for pair, near in zip(pairs, together, strict=True)
    ]
    return outcome(pairs, served, threshold)


Chooser = Callable[[str, str, float], bool]


def replayed(clusters: Sequence[Row], serves: Chooser, threshold: float, candidates: int) -> Outcome:
    """In random order, each question looks up its nearest earlier ones. Misses are stored."""
    asked = [(each["cluster"], text) for each in clusters for text in each["qs"]]
    order = np.random.default_rng(1).permutation(len(asked))
    matrix, kept = np.zeros((len(asked), MiniLmEmbedder.dimensions), np.float32), list[tuple[int, str]]()
    seen: set[int] = set()
    served = wrong = repeats = 0
    for cluster, text in (asked[at] for at in order):
        repeats += cluster in seen
        scores = matrix[: len(kept)] @ vector(text)
        nearest = np.argsort(-scores)[:candidates]
        hit = next((kept[at] for at in nearest if serves(text, kept[at][1], float(scores[at]))), None)
        if hit:
            served, wrong = served + 1, wrong + (hit[0] != cluster)
            continue
        matrix[len(kept)] = vector(text)
        kept.append((cluster, text))
        seen.add(cluster)
    return Outcome(threshold, served, wrong, repeats)


def stream(clusters: Sequence[Row]) -> dict[str, Callable[[float], Outcome]]:
    """The stream with the three policies."""

    def ours(threshold: float) -> Chooser:
        return lambda one, other, cosine: decide(one, other, cosine, threshold, SCALE).serve

    return {
        "ours": lambda bar: replayed(clusters, ours(bar), bar, CANDIDATES),
        "cosine": lambda bar: replayed(clusters, lambda _one, _other, cosine: cosine >= bar, bar, 1),
        "GPTCache": lambda _bar: gptcache_stream(clusters),
    }


def gptcache_stream(clusters: Sequence[Row]) -> Outcome:
    """The stream with GPTCache's default."""
    return replayed(clusters, lambda _one, _other, cosine: cosine >= GPTCACHE, GPTCACHE, 1)


def policies(path: Path) -> dict[str, Callable[[float], Outcome]]:
    """The results of each policy for a file, by threshold."""
    rows = rows_of(path)
    if path.stem.endswith("clusters"):
        return stream(rows)
    if path.stem.endswith("conversations"):
        pairs, together = conversations_of(rows)
        return {"ours": lambda bar: partitioned(pairs, together, bar)} | compared(pairs)
    pairs = pairs_of(rows)
    return {"ours": lambda bar: guarded(pairs, bar, SCALE)} | compared(pairs)


def compared(pairs: Sequence[Pair]) -> dict[str, Callable[[float], Outcome]]:
    """The results of the peers."""
    return {"cosine": lambda bar: plain(pairs, bar), "GPTCache": lambda _bar: plain(pairs, GPTCACHE)}


def print_file(path: Path) -> None:
    """A table with recall, wrong answers and served traps for each threshold and policy."""
    print(f"\n{path.name}")
    print(f"{'':10}" + "".join(f"{bar:>22.2f}" for bar in PRINTED) + "   recall / wrong of served (count)")
    for name, policy in policies(path).items():
        cells = [policy(bar) for bar in (PRINTED if name != "GPTCache" else PRINTED[:1])]
        print(f"{name:10}" + "".join(f"{_cell(each):>22}" for each in cells))


def _cell(found: Outcome) -> str:
    return f"{found.recall:.1%} / {found.wrong_share:.1%} ({found.wrong})"


def print_speed(paths: Sequence[Path]) -> None:
    """Milliseconds per pair, the first and the second time."""
    rows = [row for path in paths if path.stem.endswith("pairs") for row in rows_of(path)][:2000]
    for name in ("first", "again"):
        start = time.perf_counter()
        for row in rows:
            decide(row["a"], row["b"], 0.95, 0.85, SCALE)
        print(f"{(time.perf_counter() - start) * 1000 / max(len(rows), 1):.3f} ms a pair ({name})")


def main(folder: Path) -> None:
    """Print the results of every file in a folder."""
    paths = sorted(folder.glob("*.jsonl"))
    print_speed(paths)
    for path in paths:
        print_file(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OWN)
