"""Callers of every kind, a queue with prices, and an empty Redis."""

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
    """Prices, which a transactional test before this one has emptied, and the three providers."""
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
    pricebook.add_shipped_prices()


@pytest.fixture
def key_of(organization: Organization) -> Callable[..., Caller]:
    """Makes a program with a key of a role, and perhaps fewer scopes."""
    return lambda role, scopes=None: Caller(key=new_key(organization, role, scopes))


@pytest.fixture
def program(organization: Organization) -> Caller:
    """A program with an operator's key."""
    return Caller(key=new_key(organization, Role.OPERATOR))


@pytest.fixture
def other_program(other_organization: Organization) -> Caller:
    """A program of the other organization."""
    return Caller(key=new_key(other_organization, Role.OPERATOR))


@pytest.fixture
def admin_program(organization: Organization) -> Caller:
    """A program with an admin's key."""
    return Caller(key=new_key(organization, Role.ADMIN))


@pytest.fixture
def browser(operator: User, client_of: Callable[[User], Client]) -> Caller:
    """The operator's browser; CSRF is not enforced."""
    return Caller(client_of(operator))


@pytest.fixture
def admin_browser(admin: User, client_of: Callable[[User], Client]) -> Caller:
    """The admin's browser; CSRF is not enforced."""
    return Caller(client_of(admin))


@pytest.fixture
def nothing_stored(program: Caller, other_program: Caller, browser: Caller, admin_browser: Caller) -> Iterator[None]:
    """Fails where the test, with the callers that it starts with, changed the number of rows of any tenant's table."""
    before = rows()
    yield
    assert rows() == before


@pytest.fixture
def completed(organization: Organization) -> Callable[[str], None]:
    """Ends a request with the answer "A line.", as a worker would."""

    def complete(request_id: str) -> None:
        answer = {"role": "assistant", "content": "A line.", "finishReason": "stop"}
        with organization_scope(organization.pk):
            AIRequest.objects.filter(id=request_id).update(status=Status.COMPLETED, completed_at=timezone.now())
            RequestContent.objects.filter(request_id=request_id).update(response=pack(answer))

    return complete
