"""Confidence bounds, checked against their definition by summing over all possible outcomes of a sample."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_app.learning.interval import bounds, effective, upper_bound

SHARES = [0.001, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.8, 0.99]


def chance(wrong: int, judged: int, share: float) -> float:
    return math.comb(judged, wrong) * share**wrong * (1 - share) ** (judged - wrong)


@pytest.mark.parametrize("judged", [1, 2, 7, 20, 60])
@pytest.mark.parametrize("share", SHARES)
def test_the_true_share_is_below_the_upper_bound_in_at_least_90_of_100_samples(judged: int, share: float) -> None:
    covered = sum(chance(k, judged, share) for k in range(judged + 1) if upper_bound(k, judged) >= share)
    assert covered >= 0.90 - 1e-9


@pytest.mark.parametrize("judged", [1, 2, 7, 20, 60])
@pytest.mark.parametrize("share", SHARES)
def test_the_true_share_is_between_the_bounds_in_at_least_90_of_100_samples(judged: int, share: float) -> None:
    inside = 0.0
    for wrong in range(judged + 1):
        low, high = bounds(wrong, wrong, judged)
        inside += chance(wrong, judged, share) * (low <= share <= high)
    assert inside >= 0.90 - 1e-9


@given(st.integers(1, 400), st.data())
def test_the_bound_has_the_requested_confidence(judged: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, judged - 1))
    bound = upper_bound(wrong, judged)
    assert sum(chance(k, judged, bound) for k in range(wrong + 1)) == pytest.approx(0.10, abs=1e-6)


@given(st.integers(0, 200), st.integers(0, 200))
def test_more_wrong_ones_raise_the_bound_and_more_right_ones_lower_it(wrong: int, right: int) -> None:
    judged = wrong + right
    assert upper_bound(wrong, judged) <= upper_bound(wrong + 1, judged + 1)
    assert upper_bound(wrong, judged + 1) <= upper_bound(wrong, judged)


@pytest.mark.parametrize(("labels", "target"), [(114, 0.02), (230, 0.01)])
def test_enough_labels_without_an_error_meet_a_target(labels: int, target: float) -> None:
    assert upper_bound(0, labels) <= target < upper_bound(0, labels - 2)


def test_bounds_match_published_values() -> None:
    """10 of 100 at 95% on each side: 0.0490 to 0.1762, as in textbook tables."""
    low, high = bounds(10, 10, 100, confidence=0.95)
    assert (round(low, 4), round(high, 4)) == (0.0490, 0.1762)


def test_no_labels_give_no_information() -> None:
    assert upper_bound(0, 0) == 1
    assert bounds(0, 0, 0) == (0, 1)


def test_undecided_labels_widen_the_interval() -> None:
    low, high = bounds(0, 5, 50)
    assert low == bounds(0, 0, 50)[0] == 0
    assert high == bounds(5, 5, 50)[1]


def test_equal_weights_change_nothing() -> None:
    assert effective([(True, 20.0)] * 3 + [(False, 20.0)] * 97) == (3, 100)
    assert effective([]) == (0, 0)


@given(st.lists(st.tuples(st.booleans(), st.floats(1, 100)), min_size=1, max_size=50))
def test_unequal_weights_never_exceed_the_number_of_labels(pairs: list[tuple[bool, float]]) -> None:
    wrong, judged = effective(pairs)
    assert 0 <= wrong <= judged <= len(pairs)
    assert (wrong == 0) == (not any(is_wrong for is_wrong, _ in pairs))


def test_a_report_counts_once_next_to_a_sample() -> None:
    assert effective([(False, 20.0)] * 200 + [(True, 1.0)]) == (1, 200)
