"""Single sign-on against a running identity provider."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.models import Identity, IdentityProvider
from tests.api.support import QUEUE
from tests.support.oidc import CLIENT_SECRET, Provider
from tests.tenants.sso.conftest import LogIn, visit

pytestmark = pytest.mark.django_db


def test_new_user_becomes_a_member_and_reaches_the_requested_page(client: Client, log_in: LogIn) -> None:
    assert log_in(client).headers["Location"] == "/settings/members/"
    membership = Membership.objects.get()
    assert (membership.user.username, membership.role) == ("ada@corp.example", "viewer")
    assert not membership.user.has_usable_password()
    assert "ada@corp.example" in client.get(reverse("members")).text


@pytest.mark.parametrize(
    ("groups", "role"), [("finance", "finance"), (["finance", "admins"], "admin"), (["other"], "viewer"), (7, "viewer")]
)
def test_role_follows_the_claim_at_each_login(
    client: Client, log_in: LogIn, idp: Provider, groups: object, role: str
) -> None:
    log_in(client)
    idp.claims["groups"] = groups
    log_in(Client())
    assert Membership.objects.get().role == role


def test_user_without_a_mapped_role_is_rejected(client: Client, log_in: LogIn, trusted: IdentityProvider) -> None:
    trusted.default_role = ""
    trusted.save()
    answer = log_in(client)
    assert answer.status_code == 422
    assert "None of your groups" in answer.text
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email": "ada@other.example"},
        {"email": "ada@sub.corp.example"},
        {"email": "ada@corp.example@other.example"},
        {"email": ""},
    ],
)
def test_only_verified_addresses_of_configured_domains_are_accepted(
    client: Client, log_in: LogIn, idp: Provider, claims: dict[str, Any]
) -> None:
    idp.claims.update(claims)
    assert log_in(client).status_code == 422
    assert client.get(reverse("members")).status_code == 302
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "token",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["aiinfra", "another-client"]},
        {"exp": 1_000_000_000},
        {"nonce": "another"},
    ],
)
def test_token_with_wrong_claims_is_rejected(
    client: Client, log_in: LogIn, idp: Provider, token: dict[str, Any]
) -> None:
    idp.token = token
    assert log_in(client).status_code == 422
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "signature",
    [(rsa.generate_private_key(65537, 2048), "RS256"), (CLIENT_SECRET, "HS256"), (None, "none")],
    ids=["unknown key", "client secret", "no signature"],
)
def test_token_not_signed_by_the_provider_is_rejected(
    client: Client, log_in: LogIn, idp: Provider, signature: tuple[rsa.RSAPrivateKey | str | None, str]
) -> None:
    idp.signature = signature
    answer = log_in(client)
    assert (answer.status_code, "token is not valid" in answer.text) == (422, True)
    assert not User.objects.exists()


def test_callback_in_another_browser_is_rejected(client: Client, trusted: IdentityProvider, redis_url: str) -> None:
    callback = visit(client.get(reverse("sso_start", args=["north"])).headers["Location"])
    victim = Client()
    assert "expired" in victim.get(callback).text
    victim.get(reverse("sso_start", args=["north"]))
    assert "another window" in victim.get(callback).text
    assert victim.get(reverse("members")).status_code == 302


@pytest.mark.parametrize("state", ["", "é", "\0", "x" * 10_000])
def test_invalid_state_is_rejected_with_a_page(
    client: Client, trusted: IdentityProvider, redis_url: str, state: str
) -> None:
    client.get(reverse("sso_start", args=["north"]))
    assert client.get(reverse("sso_callback"), {"state": state, "code": "x"}).status_code == 422


@pytest.mark.parametrize("slug", ["\0", "é", "x" * 10_000, "' OR 1=1 --", "{{7*7}}"])
def test_unknown_organization_returns_404(client: Client, trusted: IdentityProvider, slug: str) -> None:
    assert client.get(reverse("sso"), {"organization": slug}).status_code == 404


@pytest.mark.parametrize(("sent", "announced"), [("https://evil.example", False), ("", True), (None, True)])
def test_response_from_another_issuer_is_rejected_before_the_code_is_redeemed(
    client: Client, trusted: IdentityProvider, idp: Provider, redis_url: str, sent: str | None, announced: bool
) -> None:
    idp.more = {"authorization_response_iss_parameter_supported": announced}
    callback = visit(client.get(reverse("sso_start", args=["north"])).headers["Location"])
    answer = client.get(callback if sent is None else f"{callback}&iss={sent}")
    assert "Another identity provider" in answer.text
    assert not any("/token" in call for call in idp.calls)


def test_response_with_matching_issuer_is_accepted(client: Client, trusted: IdentityProvider, redis_url: str) -> None:
    callback = visit(client.get(reverse("sso_start", args=["north"])).headers["Location"])
    assert client.get(f"{callback}&iss={trusted.issuer}").status_code == 302


def test_authorization_code_works_once(client: Client, trusted: IdentityProvider, redis_url: str) -> None:
    callback = visit(client.get(reverse("sso_start", args=["north"])).headers["Location"])
    assert client.get(callback).status_code == 302
    assert client.get(callback).status_code == 422


def test_next_page_must_be_local(client: Client, log_in: LogIn) -> None:
    assert log_in(client, next_page="https://evil.example/").headers["Location"] == "/"


def test_session_sees_only_the_organization_of_the_provider(
    client: Client, log_in: LogIn, idp: Provider, stranger: User, other_organization: Organization
) -> None:
    """Otherwise the owner of one organization could impersonate its users in all other organizations."""
    idp.claims["email"] = "stranger@corp.example"
    User.objects.filter(pk=stranger.pk).update(email="stranger@corp.example")
    log_in(client)
    page = client.get(reverse("members")).text
    assert "The members of North Ltd" in page
    assert "South" not in page
    assert client.post(reverse("switch_organization"), {"organization": "south"}).status_code == 404


def test_session_cannot_see_or_end_other_sessions_of_the_user(
    client: Client, log_in: LogIn, idp: Provider, stranger: User
) -> None:
    User.objects.filter(pk=stranger.pk).update(email="ada@corp.example")
    elsewhere = Client()
    elsewhere.force_login(stranger)
    log_in(client)
    client.post(reverse("sessions_end"))
    assert elsewhere.get(reverse("members")).status_code == 200


def test_superuser_cannot_log_in_through_sso(client: Client, log_in: LogIn) -> None:
    User.objects.create_superuser("root", "ada@corp.example")
    assert "password and a second factor" in log_in(client).text
    assert client.get("/admin/").status_code == 302


def test_session_ends_when_the_user_becomes_staff(client: Client, log_in: LogIn) -> None:
    log_in(client)
    User.objects.update(is_staff=True)
    assert client.get(reverse("members")).status_code == 302


def test_inactive_account_is_rejected(client: Client, log_in: LogIn) -> None:
    User.objects.create_user("ada@corp.example", is_active=False)
    assert "can&#x27;t log in" in log_in(client).text


def test_last_owner_keeps_the_role(client: Client, log_in: LogIn, organization: Organization) -> None:
    user = User.objects.create_user("ada@corp.example", "ada@corp.example")
    Membership.objects.create(organization=organization, user=user, role=Role.OWNER)
    log_in(client)
    assert Membership.objects.get().role == "owner"


def test_changed_email_finds_the_same_account(client: Client, log_in: LogIn, idp: Provider) -> None:
    log_in(client)
    idp.claims["email"] = "ada.lovelace@corp.example"
    log_in(Client())
    assert User.objects.count() == 1


def test_unavailable_provider_is_reported(client: Client, idp: Provider, trusted: IdentityProvider) -> None:
    idp.is_away = True
    answer = client.get(reverse("sso_start", args=["north"]))
    assert (answer.status_code, "status 503" in answer.text) == (422, True)


def test_refresh_tokens_are_encrypted_in_the_database(
    client: Client, log_in: LogIn, idp: Provider, organization: Organization
) -> None:
    log_in(client)
    with organization_scope(organization.pk):
        assert Identity.objects.get().refresh_token in idp.refresh_tokens
        stored = Identity.objects.extra(select={"raw": "refresh_token"}).values_list("raw", flat=True).get()
    assert stored not in idp.refresh_tokens


def test_login_page_links_to_the_provider(client: Client, trusted: IdentityProvider) -> None:
    assert reverse("sso") in client.get(reverse("login")).text
    page = client.get(reverse("sso"), {"organization": "North"}).text
    assert f"{reverse('sso_start', args=['north'])}?next=" in page
    missing = client.get(reverse("sso"), {"organization": "south"})
    assert (missing.status_code, "no single sign-on" in missing.text) == (404, True)
    assert client.get(reverse("sso_start", args=["south"])).status_code == 404


def test_enforced_sso_rejects_password_sessions(
    client: Client, log_in: LogIn, trusted: IdentityProvider, owner: User, other_organization: Organization
) -> None:
    Membership.objects.create(organization=other_organization, user=owner, role=Role.VIEWER)
    trusted.is_enforced = True
    trusted.save()
    by_password = Client()
    by_password.force_login(owner)
    page = by_password.get(reverse("members")).text
    assert "The members of South Ltd" in page
    assert by_password.post(reverse("switch_organization"), {"organization": "north"}).status_code == 404
    log_in(client)
    assert "The members of North Ltd" in client.get(reverse("members")).text


def test_session_cannot_read_other_organizations_through_the_api(
    client: Client, log_in: LogIn, stranger: User, other_organization: Organization
) -> None:
    """Ada is a member of South, and an owner of North runs a provider that claims to be her."""
    User.objects.filter(pk=stranger.pk).update(email="ada@corp.example")
    log_in(client)
    for slug, status in (("north", 200), ("south", 404)):
        assert client.get(QUEUE, {"action": "list", "organizationId": slug}).status_code == status


def test_enforced_sso_rejects_password_sessions_in_the_api(
    trusted: IdentityProvider, owner: User, other_organization: Organization
) -> None:
    Membership.objects.create(organization=other_organization, user=owner, role=Role.VIEWER)
    trusted.is_enforced = True
    trusted.save()
    client = Client()
    client.force_login(owner)
    for slug, status in (("south", 200), ("north", 404)):
        assert client.get(QUEUE, {"action": "list", "organizationId": slug}).status_code == status


OWN_LOGIN = [
    "password",
    "mfa_activate_totp",
    "mfa_deactivate_totp",
    "mfa_add_webauthn",
    "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes",
    "account_reauthenticate",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
]


@pytest.mark.parametrize("name", OWN_LOGIN)
def test_session_cannot_change_the_user_s_own_credentials(
    client: Client, log_in: LogIn, stranger: User, name: str
) -> None:
    """A passkey added by this session would open all organizations of the user."""
    stranger.email = "ada@corp.example"
    stranger.set_unusable_password()
    stranger.save()
    log_in(client)
    for send in (client.get, client.post):
        assert send(reverse(name)).status_code == 403
    assert client.post(reverse("mfa_remove_webauthn", args=[1])).status_code == 403
    page = client.get(reverse("mfa_index")).text
    assert reverse("mfa_add_webauthn") not in page
    assert "single sign-on" in page
