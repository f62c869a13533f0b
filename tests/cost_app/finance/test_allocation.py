import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_app.finance.allocation import allocate

AMOUNTS = st.integers(-(10**18), 10**18)
WEIGHTS = st.lists(st.integers(0, 10**15), min_size=1, max_size=8)


@given(AMOUNTS, WEIGHTS.filter(any))
def test_parts_add_up_exactly_and_each_is_within_one(amount: int, weights: list[int]) -> None:
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount * weight) < sum(weights)


def test_largest_remainder_gets_the_rest() -> None:
    assert allocate(10, [1, 1, 1]) == [4, 3, 3]
    assert allocate(100, [335, 335, 330]) == [34, 33, 33]
    assert allocate(7, [0, 5]) == [0, 7]


def test_zero_can_be_split_by_zero_weights_but_an_amount_cannot() -> None:
    assert allocate(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="all weights are zero"):
        allocate(1, [0, 0])
