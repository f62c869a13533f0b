"""A channel, and a receiver on loopback."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings

from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.models import Channel
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from tests.support.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A local HTTP server, whose private address is allowed in the test."""
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    with receiving() as found:
        yield found


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """Runs the test in the scope of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def make_channel(organization: Organization) -> Callable[..., Channel]:
    """Adds a channel, by default a webhook for all severities."""

    def make(**columns: str) -> Channel:
        defaults = {"kind": "webhook", "name": "ops", "target": "https://example.com/hook", "min_severity": "low"}
        with organization_scope(organization.pk):
            channel, _ = add_channel(organization_id=organization.pk, actor="user:admin", **{**defaults, **columns})
            return channel

    return make
