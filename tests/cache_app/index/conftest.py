"""An organization with an empty cache."""

import pytest

from tests.cache_app.store.making import new_organization


@pytest.fixture
def org(redis_url: str) -> int:
    """The id of an organization that has nothing in the cache yet."""
    return new_organization()
