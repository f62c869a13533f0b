"""Latencies as counts in fixed buckets. Histograms of several hours can be added.

Bucket n has the milliseconds above GROWTH ** (n - 1) and up to GROWTH ** n. A percentile is the middle of its bucket,
so its relative error is at most RELATIVE_ERROR. Latencies up to a minute span 226 buckets, of which a model fills some
tens.
"""

from collections.abc import Iterable, Mapping
from math import ceil, log

GROWTH = 1.05
RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
"""2.4%."""
Histogram = dict[str, int]
"""Count by bucket. The keys are strings, as in JSON."""


def bucket_of(latency_ms: int) -> str:
    """The bucket of a latency. Everything up to 1 ms is in the first."""
    return str(ceil(log(max(latency_ms, 1)) / log(GROWTH)))


def merged(histograms: Iterable[Mapping[str, int]]) -> Histogram:
    """The sum of histograms."""
    total: Histogram = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def percentile(histogram: Mapping[str, int], percent: int) -> float | None:
    """The latency in ms that this share of calls did not exceed (nearest rank). None if empty."""
    rank = ceil(sum(histogram.values()) * percent / 100)
    seen = 0
    for bucket in sorted(histogram, key=int):
        seen += histogram[bucket]
        if rank and seen >= rank:
            return 2 * GROWTH ** int(bucket) / (GROWTH + 1)
    return None
