"""An organization in scope with an empty Redis."""

from collections.abc import Iterator

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.store import l1


@pytest.fixture
def scoped(organization: Organization, redis_url: str) -> Iterator[Organization]:
    """The organization, in scope and with an empty first-level cache."""
    l1.clear()
    with organization_scope(organization.pk):
        yield organization
