"""The page `/settings/single-sign-on/`, where owners configure the identity provider."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.models import Identity, IdentityProvider
from tests.support.oidc import Provider

Browser = Callable[[User], Client]
PAGE = "/settings/single-sign-on/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def form(idp: Provider) -> dict[str, str]:
    return {
        "issuer": idp.issuer,
        "client_id": "aiinfra",
        "client_secret": "s3cr3t",
        "domain_list": "Corp.example, @sub.corp.example",
        "role_claim": "groups",
        "role_lines": "cn=admins,o=corp = admin\nstaff = viewer",
        "default_role": "",
    }


def stored(organization: Organization) -> IdentityProvider:
    with organization_scope(organization.pk):
        return IdentityProvider.objects.get()


def test_owner_saves_the_provider(
    owner: User, client_of: Browser, organization: Organization, form: dict[str, str]
) -> None:
    client = client_of(owner)
    assert "http://testserver/sso/callback/" in client.get(PAGE).text
    assert client.post(PAGE, form).status_code == 302
    provider = stored(organization)
    assert provider.domains == ["corp.example", "sub.corp.example"]
    assert provider.role_map == {"cn=admins,o=corp": "admin", "staff": "viewer"}
    page = client.get(PAGE).text
    assert "s3cr3t" not in page
    assert "sso.created" in client.get(reverse("audit")).text


def test_empty_secret_keeps_the_current_one(
    owner: User, client_of: Browser, organization: Organization, form: dict[str, str]
) -> None:
    client = client_of(owner)
    client.post(PAGE, form)
    assert client.post(PAGE, {**form, "client_secret": "", "default_role": "viewer"}).status_code == 302
    provider = stored(organization)
    assert (provider.client_secret, provider.default_role) == ("s3cr3t", "viewer")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"issuer": "http://127.0.0.1:1"}, "is not responding"),
        ({"issuer": "http://10.0.0.1/"}, "https://"),
        ({"issuer": "https://127.0.0.1/"}, "is not responding"),
        ({"issuer": "nonsense"}, "https://"),
        ({"domain_list": "not a domain!"}, "is not a domain"),
        ({"role_lines": "admins = king"}, "value = role"),
        ({"role_lines": "admins"}, "value = role"),
        ({"is_enforced": "on"}, "once before you require it"),
    ],
)
def test_invalid_values_are_rejected_with_the_reason(
    owner: User, client_of: Browser, organization: Organization, form: dict[str, Any], wrong: dict[str, str], says: str
) -> None:
    answer = client_of(owner).post(PAGE, {**form, **wrong})
    assert answer.status_code == 422
    assert says in answer.text
    with organization_scope(organization.pk):
        assert not IdentityProvider.objects.exists()


def test_sso_can_be_enforced_after_a_successful_login(
    owner: User, client_of: Browser, organization: Organization, form: dict[str, str]
) -> None:
    client = client_of(owner)
    client.post(PAGE, form)
    with organization_scope(organization.pk):
        Identity.objects.create(organization=organization, provider=stored(organization), user=owner, subject="o")
    assert client.post(PAGE, {**form, "is_enforced": "on"}).status_code == 302
    assert stored(organization).is_enforced
    assert client.get(PAGE).status_code == 404


def test_removing_the_provider_restores_password_login(
    owner: User, client_of: Browser, organization: Organization, form: dict[str, str]
) -> None:
    client = client_of(owner)
    client.post(PAGE, form)
    assert client.post(reverse("sso_remove")).status_code == 302
    with organization_scope(organization.pk):
        assert not IdentityProvider.objects.exists()


def test_command_lifts_enforcement(trusted: IdentityProvider) -> None:
    with pytest.raises(CommandError, match="does not require"):
        call_command("disablesso", "north")
    trusted.is_enforced = True
    trusted.save()
    call_command("disablesso", "north", stdout=StringIO())
    trusted.refresh_from_db()
    assert not trusted.is_enforced


def test_admins_cannot_open_the_page(admin: User, client_of: Browser) -> None:
    assert client_of(admin).get(PAGE).status_code == 403
