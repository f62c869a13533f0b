import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_app.performance.histogram import RELATIVE_ERROR, Histogram, bucket_of, merged, percentile

LATENCIES = st.lists(st.integers(1, 600_000), min_size=1, max_size=200)


def histogram_of(latencies: list[int]) -> Histogram:
    return merged({bucket_of(latency): 1} for latency in latencies)


@given(LATENCIES, st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_within_the_documented_error(latencies: list[int], percent: int) -> None:
    rank = -(-len(latencies) * percent // 100)
    true = sorted(latencies)[rank - 1]
    assert percentile(histogram_of(latencies), percent) == pytest.approx(true, rel=RELATIVE_ERROR + 1e-9)


@given(LATENCIES, LATENCIES)
def test_histograms_of_two_hours_add_up_to_that_of_both(one: list[int], other: list[int]) -> None:
    assert merged([histogram_of(one), histogram_of(other)]) == histogram_of(one + other)


def test_relative_error_is_below_two_and_a_half_percent() -> None:
    assert RELATIVE_ERROR < 0.025


def test_no_calls_have_no_percentile() -> None:
    assert percentile({}, 50) is None


def test_latency_of_zero_counts_as_the_shortest() -> None:
    assert bucket_of(0) == bucket_of(1)
