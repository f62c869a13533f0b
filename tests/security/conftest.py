"""Fixtures that attacks share."""

import pytest

from cost_app.prices import lookup
from tests.support.web import serve  # noqa: F401 - fixture


@pytest.fixture
def priced(db: None, redis_url: str) -> None:
    """The shipped prices, which a transactional test before this one has emptied, and an empty Redis."""
    lookup.add_shipped_prices()
