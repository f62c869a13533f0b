"""What other thresholds would have done, based on the counts of best candidates.

The counts are by whole percents of similarity, and cover only the best candidate of each lookup. A candidate below the
threshold passed the vetoes, but the strict rules never saw it: what a lower threshold adds is an upper bound. What a
guard refused stays refused, whatever the threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cache_app.embedding.base import Scale
from cache_app.metrics.counts import histogram

STEPS = (-5, 0, 3, 5, 7, 10)
"""In percent, relative to the embedder's own threshold, because scales differ: 0.80 to 0.95 for one of 0.85."""
FULL = 100


@dataclass(frozen=True)
class WhatIf:
    """One threshold. `percent` is the cosine in whole percent.

    `kept` are the answers in the range that it would also have served, `more` those that it would have added at most,
    `fewer` those that it would not have served, `refused` similar enough but refused by a guard.
    """

    percent: int
    is_present: bool
    kept: int
    more: int
    fewer: int
    refused: int

    @property
    def threshold(self) -> float:
        """As a cosine."""
        return self.percent / FULL

    @property
    def served(self) -> int:
        """What it would have served, at most."""
        return self.kept + self.more


def what_if(found: Mapping[str, int], present: float, scale: Scale) -> list[WhatIf]:
    """The current threshold among others. Empty if nothing was compared by meaning."""
    served, refused, below = (histogram(found, fate) for fate in ("served", "refused", "below"))
    if not (served or refused or below):
        return []
    here, edge = round(present * FULL), round(scale.edge * FULL)
    return [
        WhatIf(
            percent=percent,
            is_present=percent == here,
            kept=_from(served, percent),
            more=_from(below, percent),
            fewer=sum(served.values()) - _from(served, percent),
            refused=_from(refused, percent),
        )
        for percent in sorted({here, *(edge + step for step in STEPS if edge + step <= FULL)})
    ]


def _from(counted: Mapping[int, int], percent: int) -> int:
    return sum(count for at, count in counted.items() if at >= percent)
