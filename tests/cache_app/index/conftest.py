"""An organization with an empty cache."""

import pytest

from tests.cache_app.store.making import new_organization


@pytest.fixture
def org(redis_url: str) -> int:
    """The ID of an organization without cache entries."""
    return new_organization()
