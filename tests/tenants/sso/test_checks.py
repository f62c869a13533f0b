"""Sessions and API keys end when the identity provider no longer confirms the user."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from aiinfra.tenants import key_authentication, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, PersonSession, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.checks import check_identities
from aiinfra.tenants.sso.models import Identity
from tests.support.logged_in import is_logged_in
from tests.support.oidc import Provider
from tests.tenants.sso.conftest import LogIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def checked(organization: Organization) -> Callable[..., int]:
    """Run the check as if this much time had passed."""

    def run(after: timedelta = timedelta(minutes=16)) -> int:
        with organization_scope(organization.pk):
            Identity.objects.update(checked_at=timezone.now() - after)
        PersonSession.objects.update(created_at=timezone.now() - after)
        return check_identities()

    return run


@pytest.fixture
def key(client: Client, log_in: LogIn, idp: Provider, organization: Organization) -> str:
    """An API key of the logged-in user."""
    idp.claims["groups"] = "admins"
    log_in(client)
    user = User.objects.get(username="ada@corp.example")
    with organization_scope(organization.pk):
        _, text = keys.create_key(
            organization=organization, name="bot", role=Role.VIEWER, created_by=user, actor="user:ada"
        )
    return text


def test_active_user_stays_logged_in(client: Client, key: str, checked: Callable[..., int]) -> None:
    for _ in range(3):
        assert checked() == 1
        assert is_logged_in(client)
    assert key_authentication.authenticate(f"Bearer {key}")


def test_deactivated_user_loses_sessions_keys_and_membership(
    client: Client, key: str, idp: Provider, checked: Callable[..., int], organization: Organization
) -> None:
    idp.is_active = False
    checked()
    assert not is_logged_in(client)
    assert key_authentication.authenticate(f"Bearer {key}") is None
    assert not Membership.objects.exists()
    assert checked() == 0


def test_deactivated_last_owner_loses_sessions_and_keys_but_stays_a_member(
    client: Client, key: str, idp: Provider, checked: Callable[..., int]
) -> None:
    Membership.objects.update(role=Role.OWNER)
    idp.is_active = False
    checked()
    assert not is_logged_in(client)
    assert key_authentication.authenticate(f"Bearer {key}") is None
    assert Membership.objects.get().role == "owner"


def test_reactivated_user_can_log_in_again(
    client: Client, key: str, idp: Provider, checked: Callable[..., int], log_in: LogIn
) -> None:
    idp.is_active = False
    checked()
    idp.is_active = True
    log_in(client)
    assert is_logged_in(client)
    assert checked() == 1


def test_provider_outage_logs_nobody_out(client: Client, key: str, idp: Provider, checked: Callable[..., int]) -> None:
    idp.is_away = True
    checked()
    assert is_logged_in(client)
    idp.is_away = False
    checked()
    assert is_logged_in(client)


def test_users_are_not_checked_before_they_are_due(client: Client, key: str, idp: Provider) -> None:
    idp.calls.clear()
    assert check_identities() == 0
    assert idp.calls == []


def test_session_without_refresh_token_ends_after_an_hour(
    client: Client, idp: Provider, log_in: LogIn, checked: Callable[..., int]
) -> None:
    idp.gives_refresh_tokens = False
    log_in(client)
    checked(timedelta(minutes=59))
    assert is_logged_in(client)
    checked(timedelta(minutes=61))
    assert not is_logged_in(client)


def test_users_without_refresh_tokens_do_not_block_checks_of_others(
    client: Client, idp: Provider, log_in: LogIn, checked: Callable[..., int]
) -> None:
    idp.gives_refresh_tokens = False
    log_in(client)
    assert checked() == 1
    assert check_identities() == 0, "users without refresh tokens are still due"
