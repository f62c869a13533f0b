"""Fixtures shared by the attack tests."""

import pytest

from cost_app.prices import lookup
from tests.support.web import serve  # noqa: F401 - fixture


@pytest.fixture
def priced(db: None, redis_url: str) -> None:
    """The shipped prices, which an earlier transactional test may have deleted, and an empty Redis."""
    lookup.add_shipped_prices()
