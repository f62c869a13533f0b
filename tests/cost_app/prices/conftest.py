"""A price book that includes the prices of genai-prices."""

from collections.abc import Callable

import pytest
from django.test import Client

from aiinfra.tenants.models import User
from cost_app.prices import lookup as pricebook
from cost_app.prices.importing import import_prices
from tests.cost_app.prices.repricing import call  # noqa: F401 - a fixture

FIELDS = {
    "provider": "local",
    "model": "m",
    "tier": "standard",
    "input": "0.14",
    "output": "0.28",
    "source": "the price page, today",
}


@pytest.fixture
def imported(db: None) -> None:
    """Imports the prices of all models that the price book does not contain."""
    import_prices(actor="command:test", approve_new=True)
    pricebook.clear_price_cache()


@pytest.fixture
def staff(owner: User, client_of: Callable[[User], Client]) -> Client:
    """A client of a superuser."""
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return client_of(owner)
