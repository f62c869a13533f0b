"""The baseline of an hour of the week: the median, and the deviation from it.

The modified z-score of Iglewicz and Hoaglin (1993): 0.6745 x (value - median) / MAD, with 3.5 as the limit above which
they call a value an outlier. If more than half of the values are equal, the MAD is 0; a tenth of the median replaces
it, so that tiny differences are not outliers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SAMPLES_MIN = 3
LIMIT = 3.5
SCALE = 0.6745
SPREAD_MIN = 0.1


@dataclass(frozen=True)
class Baseline:
    """Median and median absolute deviation, in the unit of the values."""

    median: int
    mad: int


def baseline(values: Sequence[int]) -> Baseline | None:
    """None for fewer than three values: they are not enough."""
    if len(values) < SAMPLES_MIN:
        return None
    middle = median(values)
    return Baseline(round(middle), round(median(abs(value - middle) for value in values)))


def is_spike(value: int, usual: Baseline) -> bool:
    """Whether the value is unusually high."""
    spread = max(usual.mad, usual.median * SPREAD_MIN, 1)
    return SCALE * (value - usual.median) / spread > LIMIT
