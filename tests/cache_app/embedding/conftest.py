"""A paying organization for the tests of embedders."""

from collections.abc import Iterator

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.embedding import vector_cache
from cache_app.embedding.base import Payer
from cost_app.prices import lookup as pricebook
from tests.providers.conftest import sandbox, sandbox_process  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _empty_vector_cache() -> Iterator[None]:
    vector_cache.clear_vectors()
    yield
    vector_cache.clear_vectors()


@pytest.fixture
def payer(redis_url: str, organization: Organization) -> Iterator[Payer]:
    """A payer whose organization is in scope, with the shipped prices and an empty Redis."""
    pricebook.add_shipped_prices()
    with organization_scope(organization.pk):
        yield Payer(organization.pk, user_ref="ann")
