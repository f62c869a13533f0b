"""Latencies as counts in fixed buckets: histograms of any hours add up to that of all of them.

Bucket n holds the whole milliseconds above GROWTH ** (n - 1) and up to GROWTH ** n. A percentile is read as the value
in the middle of its bucket, so it is at most RELATIVE_ERROR off the true one, whatever the latencies are. A minute
spans 226 buckets, of which a model fills some tens.
"""

from collections.abc import Iterable, Mapping
from math import ceil, log

GROWTH = 1.05
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
"""2.4 %."""
Histogram = dict[str, int]
"""Count by bucket; the keys are text, as in the database's JSON."""


def bucket_of(latency_ms: int) -> str:
    """The bucket that a latency falls into; everything up to 1 ms is in the first."""
    return str(ceil(log(max(latency_ms, 1)) / log(GROWTH)))


def merged(histograms: Iterable[Mapping[str, int]]) -> Histogram:
    """The sum of some histograms."""
    total: Histogram = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def percentile(histogram: Mapping[str, int], percent: int) -> float | None:
    """The latency in ms that this share of the calls did not exceed (nearest rank); None of an empty histogram."""
    rank = ceil(sum(histogram.values()) * percent / 100)
    seen = 0
    for bucket in sorted(histogram, key=int):
        seen += histogram[bucket]
        if rank and seen >= rank:
            return 2 * GROWTH ** int(bucket) / (GROWTH + 1)
    return None
