"""Prices, and attempts."""

from collections.abc import Callable

import pytest
from django.db import transaction

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.ledger import admission
from cost_app.ledger.admission import AttemptOrder
from cost_app.models import Attempt
from cost_app.prices import lookup as pricebook
from cost_app.prices.shipped import add_shipped_limits

MESSAGES = [{"role": "user", "content": "How do I plan a garden?"}]


@pytest.fixture(autouse=True)
def price_book(db: None) -> None:
    """The shipped prices and limits, which an earlier transactional test may have deleted."""
    pricebook.add_shipped_prices()
    add_shipped_limits()


@pytest.fixture
def open_attempt(organization: Organization) -> Callable[..., Attempt]:
    """Opens attempts with these fields of `AttemptOrder`."""

    def make(**fields: object) -> Attempt:
        defaults = {
            "organization_id": organization.pk,
            "provider": "deepseek",
            "model": "deepseek-chat",
            "messages": MESSAGES,
            "max_tokens": 100,
        }
        with system_scope(), transaction.atomic():
            return admission.open_attempt(AttemptOrder(**{**defaults, **fields}))  # type: ignore[arg-type]

    return make
