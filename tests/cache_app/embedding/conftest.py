"""An embedder that costs money, against the sandbox, and an organization that pays."""

from collections.abc import Iterator

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.embedding import vector_cache
from cache_app.embedding.base import Payer
from cost_app.prices import lookup as pricebook
from tests.providers.conftest import sandbox, sandbox_process  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    vector_cache.clear_vectors()
    yield
    vector_cache.clear_vectors()


@pytest.fixture
def payer(redis_url: str, organization: Organization) -> Iterator[Payer]:
    """Someone of an organization, which the test sees the rows of; with the shipped prices and closed circuits."""
    pricebook.add_shipped_prices()
    with organization_scope(organization.pk):
        yield Payer(organization.pk, user_ref="ann")
