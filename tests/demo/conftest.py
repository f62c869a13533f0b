"""Settings without provider keys, so that the sandbox is used, and the shipped prices."""

import pytest
from pytest_django.fixtures import Settings

from cost_app.prices import lookup


@pytest.fixture(autouse=True)
def price_book(db: None, settings: Settings) -> None:
    """Add the shipped prices, which a previous transactional test may have deleted."""
    settings.PROVIDER_API_KEYS = dict.fromkeys(settings.PROVIDER_API_KEYS, "")
    lookup.add_shipped_prices()


@pytest.fixture
def queue(redis_url: str) -> None:
    """An empty Redis."""
