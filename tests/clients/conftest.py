"""A running server, a worker, and a sandbox provider, called by the official SDKs with an API key."""

from collections.abc import Callable, Iterator

import anthropic
import openai
import pytest
from pytest_django.live_server_helper import LiveServer

from aiinfra.gateway import chat
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cost_app.prices.lookup import add_shipped_prices
from tests.api.support import new_key
from tests.gateway.conftest import queued, stepwise, worker  # noqa: F401 - fixtures
from tests.providers.conftest import SandboxClient, sandbox, sandbox_process  # noqa: F401 - fixtures


@pytest.fixture
def key(organization: Organization) -> str:
    return new_key(organization, Role.OWNER)


@pytest.fixture
def product(
    live_server: LiveServer,
    redis_url: str,
    sandbox: SandboxClient,  # noqa: F811
    worker: Callable[[], None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The URL of the running product."""
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(20))
    add_shipped_prices()
    worker()
    return str(live_server.url)


def full_room(organization: Organization) -> WaitingRoom:
    """A waiting room whose only slot is taken."""
    room = WaitingRoom(1)
    room._slots.take(organization.pk)
    return room


@pytest.fixture
def openai_client(product: str, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{product}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(product: str, key: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=product, api_key=key, max_retries=0) as client:
        yield client
