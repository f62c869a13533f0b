"""Measures guards and thresholds on labeled pairs and derives thresholds for an embedder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cache_app.embedding.base import Scale
from cache_app.guards.decision import Verdict, decide

CANDIDATES = tuple(round(0.50 + step / 100, 2) for step in range(50))
"""The thresholds to try."""
PRINTED = (0.75, 0.80, 0.85, 0.90, 0.95)
NEAR_BELOW_EDGE = 0.10
"""How far below its edge an embedder's candidates are still considered (MiniLM: 0.75 and 0.85)."""


@dataclass(frozen=True)
class Pair:
    """Two texts, whether one answer fits both, and their cosine similarity."""

    asked: str
    cached: str
    same: bool
    similarity: float


@dataclass(frozen=True)
class Outcome:
    """Results at one threshold: recall, and the share of wrong answers."""

    threshold: float
    served: int
    wrong: int
    repeats: int

    @property
    def recall(self) -> float:
        """Share of true repeats that are served. 0 if there are none."""
        return (self.served - self.wrong) / self.repeats if self.repeats else 0.0

    @property
    def wrong_share(self) -> float:
        """Share of served answers that are wrong. 0 if nothing is served."""
        return self.wrong / self.served if self.served else 0.0


def outcome(pairs: Iterable[Pair], served: Iterable[bool], threshold: float) -> Outcome:
    """Count served answers."""
    rows = list(zip(pairs, served, strict=True))
    hits = [pair.same for pair, hit in rows if hit]
    return Outcome(threshold, len(hits), hits.count(False), sum(pair.same for pair, _ in rows))


def guarded(pairs: Sequence[Pair], threshold: float, scale: Scale) -> Outcome:
    """Results of the cache at a threshold."""
    return outcome(pairs, [_verdict(pair, threshold, scale).serve for pair in pairs], threshold)


def plain(pairs: Sequence[Pair], threshold: float) -> Outcome:
    """Results of similarity alone, without guards."""
    return outcome(pairs, [pair.similarity >= threshold for pair in pairs], threshold)


def _verdict(pair: Pair, threshold: float, scale: Scale) -> Verdict:
    return decide(pair.asked, pair.cached, pair.similarity, threshold, scale)


def proposed_scale(pairs: Sequence[Pair], error: float) -> Scale | None:
    """The lowest thresholds with at most this share of wrong answers: `clear` with vetoes only, `edge` with strict
    rules below `clear`. None if no threshold qualifies.
    """
    clear = _lowest(pairs, error, clear=0.0)
    edge = _lowest(pairs, error, clear=clear) if clear is not None else None
    if clear is None or edge is None:
        return None
    return Scale(edge=min(edge, clear), clear=clear, near=round(max(min(edge, clear) - NEAR_BELOW_EDGE, 0.0), 2))


def _lowest(pairs: Sequence[Pair], error: float, *, clear: float) -> float | None:
    """The lowest threshold such that it and all higher ones that serve anything qualify."""
    lowest = None
    for threshold in reversed(CANDIDATES):
        found = guarded(pairs, threshold, Scale(edge=threshold, clear=clear, near=0.0))
        if found.wrong_share > error:
            break
        lowest = threshold if found.served else lowest
    return lowest
