"""The sandbox as every provider, and the shipped prices."""

import pytest
from pytest_django.fixtures import Settings

from cost_app.prices import lookup


@pytest.fixture(autouse=True)
def price_book(db: None, settings: Settings) -> None:
    """The shipped prices, which a transactional test before this one has emptied."""
    settings.PROVIDER_API_KEYS = dict.fromkeys(settings.PROVIDER_API_KEYS, "")
    lookup.add_shipped_prices()


@pytest.fixture
def queue(redis_url: str) -> None:
    """An empty Redis."""
