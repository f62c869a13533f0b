"""Backoff between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from aiinfra.providers.backoff import RETRY_AFTER_MAX_S, backoff_s


@pytest.fixture(autouse=True)
def base_and_cap(settings: Settings) -> None:
    settings.RETRY_BASE_S, settings.RETRY_MAX_S = 1, 30


@pytest.mark.parametrize(("retry", "ceiling"), [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (1000, 30)])
def test_jitter_covers_a_doubling_range_up_to_the_cap(retry: int, ceiling: float) -> None:
    assert backoff_s(retry, None, random=lambda: 0.0) == 0
    assert backoff_s(retry, None, random=lambda: 1.0) == ceiling


def test_retry_after_is_a_minimum() -> None:
    assert backoff_s(0, 12.0, random=lambda: 0.0) == 12
    assert backoff_s(0, 12.0, random=lambda: 1.0) == 13


def test_extreme_retry_after_is_capped() -> None:
    assert backoff_s(0, 86_400.0, random=lambda: 0.0) == RETRY_AFTER_MAX_S


@given(st.integers(0, 100), st.one_of(st.none(), st.floats(-10, 1e6)))
def test_it_is_never_negative_and_never_unbounded(retry: int, wish: float | None) -> None:
    assert 0 <= backoff_s(retry, wish) <= RETRY_AFTER_MAX_S + 30
