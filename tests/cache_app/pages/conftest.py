"""An empty cache, and clients for each role."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import User
from cache_app.store import l1

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def empty_cache(db: None, redis_url: str) -> None:
    """Empty the first-level cache."""
    l1.clear()


@pytest.fixture
def redis_away(settings: Settings) -> Callable[[], None]:
    """Makes Redis unreachable when called."""

    def leave() -> None:
        settings.REDIS_URL = AWAY

    return leave


@pytest.fixture
def browser(operator: User, client_of: Callable[[User], Client]) -> Client:
    """The operator, who sees and changes everything except the settings."""
    return client_of(operator)


@pytest.fixture
def manager(admin: User, client_of: Callable[[User], Client]) -> Client:
    """The admin, who changes the settings."""
    return client_of(admin)


@pytest.fixture
def reader(viewer: User, client_of: Callable[[User], Client]) -> Client:
    """The viewer, who changes nothing and cannot view prompts."""
    return client_of(viewer)


@pytest.fixture
def outsider(stranger: User, client_of: Callable[[User], Client]) -> Client:
    """The owner of another organization."""
    return client_of(stranger)
