"""A price book that knows what genai-prices knows."""

import pytest

from cost_app.prices import lookup as pricebook
from cost_app.prices.importing import import_prices


@pytest.fixture
def imported(db: None) -> None:
    """The models that the book did not know, taken over."""
    import_prices(actor="command:test", approve_new=True)
    pricebook.clear_price_cache()
