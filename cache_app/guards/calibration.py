"""What guards and thresholds do on labelled pairs, and which thresholds follow for an embedder's scale."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cache_app.embedding.base import Scale
from cache_app.guards.decision import Verdict, decide

CANDIDATES = tuple(round(0.50 + step / 100, 2) for step in range(50))
"""The thresholds that are tried."""
PRINTED = (0.75, 0.80, 0.85, 0.90, 0.95)
NEAR_BELOW_EDGE = 0.10
"""How far below its edge an embedder's candidates are still worth a look (MiniLM: 0.75 and 0.85)."""


@dataclass(frozen=True)
class Pair:
    """Two texts, whether one answer serves both, and their cosine."""

    asked: str
    cached: str
    same: bool
    similarity: float


@dataclass(frozen=True)
class Outcome:
    """What one threshold does: of the true repeats those served, of the served those that are wrong."""

    threshold: float
    served: int
    wrong: int
    repeats: int

    @property
    def recall(self) -> float:
        """Share of the true repeats that are served; 0 where there are none."""
        return (self.served - self.wrong) / self.repeats if self.repeats else 0.0

    @property
    def wrong_share(self) -> float:
        """Share of the served that are wrong; 0 where nothing is served."""
        return self.wrong / self.served if self.served else 0.0


def outcome(pairs: Iterable[Pair], served: Iterable[bool], threshold: float) -> Outcome:
    """Count what was served."""
    rows = list(zip(pairs, served, strict=True))
    hits = [pair.same for pair, hit in rows if hit]
    return Outcome(threshold, len(hits), hits.count(False), sum(pair.same for pair, _ in rows))


def guarded(pairs: Sequence[Pair], threshold: float, scale: Scale) -> Outcome:
    """What the cache does at a threshold."""
    return outcome(pairs, [_verdict(pair, threshold, scale).serve for pair in pairs], threshold)


def plain(pairs: Sequence[Pair], threshold: float) -> Outcome:
    """What the similarity alone does."""
    return outcome(pairs, [pair.similarity >= threshold for pair in pairs], threshold)


def _verdict(pair: Pair, threshold: float, scale: Scale) -> Verdict:
    return decide(pair.asked, pair.cached, pair.similarity, threshold, scale)


def proposed_scale(pairs: Sequence[Pair], error: float) -> Scale | None:
    """The lowest thresholds with at most this share wrong among the served: `clear` with the vetoes alone, `edge` with
    the strict rules below `clear`. None if no threshold is so good."""
    clear = _lowest(pairs, error, clear=0.0)
    edge = _lowest(pairs, error, clear=clear) if clear is not None else None
    if clear is None or edge is None:
        return None
    return Scale(edge=min(edge, clear), clear=clear, near=round(max(min(edge, clear) - NEAR_BELOW_EDGE, 0.0), 2))


def _lowest(pairs: Sequence[Pair], error: float, *, clear: float) -> float | None:
    """The lowest threshold from which on upwards everything that serves at all is good enough."""
    lowest = None
    for threshold in reversed(CANDIDATES):
        found = guarded(pairs, threshold, Scale(edge=threshold, clear=clear, near=0.0))
        if found.wrong_share > error:
            break
        lowest = threshold if found.served else lowest
    return lowest
