"""Sampling error: exact bounds for a share measured on a sample."""

import math
from collections.abc import Iterable

CONFIDENCE = 0.90
BISECTIONS = 60
ROUNDING = 1e-9


def upper_bound(wrong: int, judged: int, confidence: float = CONFIDENCE) -> float:
    """The largest true share (0 to 1) that `wrong` out of `judged` does not refute; 1 if nothing was judged.

    C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934), one-sided: the true share is below it in at least `confidence` of all samples. 114 judgments
    without an error prove 2%. The chance of so few falls as the share rises: found by bisection; returns the upper
    end.
    """
    if wrong >= judged:
        return 1.0
    low, high = wrong / judged, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if _at_most(wrong, judged, middle) <= 1 - confidence else (middle, high)
    return high


def bounds(fewest: int, most: int, judged: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The bounds of the true share; two-sided, with half of the error probability at each end.

    `fewest` and `most` are the numbers of wrong ones if some are undecided; equal if none are.
    """
    each = (1 + confidence) / 2
    return 1 - upper_bound(judged - fewest, judged, each) if judged else 0.0, upper_bound(most, judged, each)


def effective(weighted: Iterable[tuple[bool, float]]) -> tuple[int, int]:
    """(wrong, judged) of an unweighted sample that is as informative as these (is wrong, hits that it represents).

    The size is Kish's (L. Kish, Survey Sampling, 1965): (sum of weights)^2 / sum of their squares. Rounded to the safe
    side: wrong ones up, size down.
    """
    pairs = list(weighted)
    whole = sum(weight for _, weight in pairs)
    if not whole:
        return 0, 0
    size = whole**2 / sum(weight**2 for _, weight in pairs)
    share = sum(weight for is_wrong, weight in pairs if is_wrong) / whole
    judged = math.floor(size + ROUNDING)
    return min(judged, math.ceil(share * size - ROUNDING)), judged


def _at_most(wrong: int, judged: int, share: float) -> float:
    """Probability of at most that many wrong ones: the sum of the binomial terms, in logarithms against underflow."""
    if share <= 0 or share >= 1:
        return 1.0 if share <= 0 else 0.0
    log_share, log_rest, all_ways = math.log(share), math.log1p(-share), math.lgamma(judged + 1)
    return math.fsum(
        math.exp(
            all_ways
            - math.lgamma(each + 1)
            - math.lgamma(judged - each + 1)
            + each * log_share
            + (judged - each) * log_rest
        )
        for each in range(wrong + 1)
    )
