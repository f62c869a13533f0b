"""Rate limits of pages."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.caller import network_of
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log.models import SecurityEvent
from tests.api.support import QUEUE
from tests.support.buckets import no_refill  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_refill")]


def test_a_user_over_the_limit_gets_a_page_with_the_retry_time(
    owner: User, viewer: User, client_of: Callable[[User], Client], settings: Settings
) -> None:
    settings.PAGES_PER_MINUTE_PERSON = 2
    client, url = client_of(owner), reverse("organization")
    assert [client.get(url).status_code for _ in range(2)] == [200, 200]
    refused = client.get(url)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert "Too many requests" in refused.text
    assert client_of(owner).get(url).status_code == 429
    assert client_of(viewer).get(reverse("members")).status_code == 200
    [event] = SecurityEvent.objects.filter(event="limit.reached")
    assert event.actor.startswith("user:owner")


def test_anonymous_requests_are_limited_by_address(settings: Settings) -> None:
    settings.PAGES_PER_MINUTE_ADDRESS = 3
    paths = ["/nothing", reverse("login"), "/also-nothing", reverse("login")]
    assert [Client().get(path).status_code for path in paths] == [404, 200, 404, 429]
    assert Client(REMOTE_ADDR="192.0.2.1").get(reverse("login")).status_code == 200


def test_health_checks_and_the_api_do_not_count_as_pages(settings: Settings) -> None:
    settings.PAGES_PER_MINUTE_ADDRESS = 1
    for _ in range(3):
        assert Client().get("/healthz").status_code == 200
        assert Client().get(QUEUE).status_code == 401


@pytest.mark.parametrize("path", ["/login/", QUEUE])
def test_the_addresses_of_one_ipv6_network_count_as_one(settings: Settings, path: str) -> None:
    settings.PAGES_PER_MINUTE_ADDRESS = settings.UNAUTHENTICATED_PER_MINUTE = 3
    statuses = [Client(REMOTE_ADDR=f"2001:db8::{number:x}").get(path).status_code for number in range(4)]
    assert statuses[-1] == 429
    assert 429 not in statuses[:3]
    assert Client(REMOTE_ADDR="2001:db8:0:1::1").get(path).status_code != 429


def test_an_unknown_address_is_counted_in_its_own_network() -> None:
    assert network_of(None) == "::/64"
