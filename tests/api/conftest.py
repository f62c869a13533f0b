"""Callers with every kind of credential, a queue with prices, and an empty Redis."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.prices import lookup as pricebook
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import pack
from tests.api.authorization_rows import ids_of  # noqa: F401 - a fixture
from tests.api.support import Caller, new_key, rows


@pytest.fixture(autouse=True)
def _queue(db: None, redis_url: str, settings: Settings) -> None:
    """Prices, which an earlier transactional test may have deleted, and the three providers."""
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
    pricebook.add_shipped_prices()


@pytest.fixture
def key_of(organization: Organization) -> Callable[..., Caller]:
    """Creates a caller with an API key of this role, optionally limited to scopes."""
    return lambda role, scopes=None: Caller(key=new_key(organization, role, scopes))


@pytest.fixture
def program(organization: Organization) -> Caller:
    """A caller with an operator's API key."""
    return Caller(key=new_key(organization, Role.OPERATOR))


@pytest.fixture
def other_program(other_organization: Organization) -> Caller:
    """A caller with an operator's API key of the other organization."""
    return Caller(key=new_key(other_organization, Role.OPERATOR))


@pytest.fixture
def admin_program(organization: Organization) -> Caller:
    """A caller with an admin's API key."""
    return Caller(key=new_key(organization, Role.ADMIN))


@pytest.fixture
def browser(operator: User, client_of: Callable[[User], Client]) -> Caller:
    """The operator's session, without CSRF checks."""
    return Caller(client_of(operator))


@pytest.fixture
def admin_browser(admin: User, client_of: Callable[[User], Client]) -> Caller:
    """The admin's session, without CSRF checks."""
    return Caller(client_of(admin))


@pytest.fixture
def nothing_stored(program: Caller, other_program: Caller, browser: Caller, admin_browser: Caller) -> Iterator[None]:
    """Fails if the number of rows in any tenant table has changed since the test's callers were created."""
    before = rows()
    yield
    assert rows() == before


@pytest.fixture
def completed(organization: Organization) -> Callable[[str], None]:
    """Completes a request with the response "A line.", as a worker would."""

    def complete(request_id: str) -> None:
        answer = {"role": "assistant", "content": "A line.", "finishReason": "stop"}
        with organization_scope(organization.pk):
            AIRequest.objects.filter(id=request_id).update(status=Status.COMPLETED, completed_at=timezone.now())
            RequestContent.objects.filter(request_id=request_id).update(response=pack(answer))

    return complete
