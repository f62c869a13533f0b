"""A running identity provider, and an organization that trusts it."""

import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.models import IdentityProvider
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, Provider, oidc_provider

LogIn = Callable[..., Any]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Does not follow redirects."""


def visit(url: str) -> str:
    """Open the provider's login page as a browser does; return the URL it redirects to."""
    try:
        urllib.request.build_opener(_NoRedirects).open(url)
    except urllib.error.HTTPError as answer:
        return str(answer.headers["Location"])
    raise AssertionError(url)


@pytest.fixture
def idp(settings: Settings) -> Iterator[Provider]:
    settings.SSO_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    settings.AIINFRA_PUBLIC_URL = "http://testserver/"
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
def trusted(idp: Provider, organization: Organization) -> IdentityProvider:
    """The provider as configured in the organization North."""
    with organization_scope(organization.pk):
        return IdentityProvider.objects.create(
            organization=organization,
            issuer=idp.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            domains=["corp.example"],
            role_claim="groups",
            role_map={"admins": "admin", "finance": "finance"},
            default_role="viewer",
        )


@pytest.fixture
def log_in(redis_url: str, trusted: IdentityProvider) -> LogIn:
    """Log in through the provider; return the callback's response. The client keeps the session."""

    def go(client: Client, next_page: str = "/settings/members/") -> Any:
        away = client.get(reverse("sso_start", args=["north"]), {"next": next_page})
        assert away.status_code == 302
        return client.get(visit(away.headers["Location"]))

    return go
