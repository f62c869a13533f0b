"""An empty Redis, nothing remembered of other tests, and browsers of the cast."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import User
from cache_app.store import l1

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def empty_cache(db: None, redis_url: str) -> None:
    """Nothing is kept, and every organization has the defaults."""
    l1.clear()


@pytest.fixture
def redis_away(settings: Settings) -> Callable[[], None]:
    """From the call on no one answers where Redis should be."""

    def leave() -> None:
        settings.REDIS_URL = AWAY

    return leave


@pytest.fixture
def browser(operator: User, client_of: Callable[[User], Client]) -> Client:
    """The operator's: sees everything of the cache and changes everything but the rules."""
    return client_of(operator)


@pytest.fixture
def manager(admin: User, client_of: Callable[[User], Client]) -> Client:
    """The admin's, who sets the rules."""
    return client_of(admin)


@pytest.fixture
def reader(viewer: User, client_of: Callable[[User], Client]) -> Client:
    """The viewer's, who changes nothing and opens no prompts."""
    return client_of(viewer)


@pytest.fixture
def outsider(stranger: User, client_of: Callable[[User], Client]) -> Client:
    """The owner's of another organization."""
    return client_of(stranger)
