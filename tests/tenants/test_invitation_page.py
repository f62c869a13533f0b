from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import invitations
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Membership, Organization, User

Browser = Callable[[User], Client]


@pytest.fixture
def link_for(organization: Organization, admin: User) -> Callable[[str], str]:
    """The path of a new invitation for an email address."""

    def make(email: str) -> str:
        _, token = invitations.invite(
            organization=organization, email=email, role=Role.OPERATOR, by=admin, actor="user:admin"
        )
        return reverse("invitation", args=[token])

    return make


def opened(client: Client, link: str) -> str:
    """The path that the link redirects to."""
    response = client.get(link)
    assert response.status_code == 302
    return response.headers["Location"]


def test_new_user_creates_an_account_and_is_logged_in(link_for: Callable[[str], str], client: Client) -> None:
    link = link_for("new@example.com")
    page = opened(client, link)
    assert "Join North Ltd" in client.get(page).text
    response = client.post(page, {"password": "correct horse battery"})
    assert response.status_code == 302
    assert Membership.objects.get(user__username="new@example.com").role == "operator"
    assert client.get(reverse("members")).status_code == 200
    assert Client().get(link).status_code == 404


@pytest.mark.parametrize("password", ["", "short", "password1234", "new@example.com"])
def test_weak_password_is_rejected_with_the_reason(
    link_for: Callable[[str], str], client: Client, password: str
) -> None:
    response = client.post(opened(client, link_for("new@example.com")), {"password": password})
    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not User.objects.filter(username="new@example.com").exists()


def test_existing_user_has_to_log_in(link_for: Callable[[str], str], stranger: User, client: Client) -> None:
    page = opened(client, link_for(stranger.email))
    assert "Log in to accept" in client.get(page).text
    assert client.post(page, {"password": "correct horse battery"}).status_code == 422
    assert Membership.objects.filter(user=stranger).count() == 1


def test_logged_in_user_joins_with_their_account(
    link_for: Callable[[str], str], stranger: User, client_of: Browser
) -> None:
    client = client_of(stranger)
    page = opened(client, link_for(stranger.email))
    assert "Join as stranger" in client.get(page).text
    client.post(page)
    assert "The members of North Ltd" in client.get(reverse("members")).text


def test_another_account_cannot_accept(link_for: Callable[[str], str], viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    response = client.post(opened(client, link_for("another@example.com")))
    assert response.status_code == 422
    assert "This invitation is for another@example.com" in response.text
    assert Membership.objects.get(user=viewer).role == "viewer"


def test_unknown_link_returns_404_and_post_requires_a_csrf_token(link_for: Callable[[str], str]) -> None:
    assert Client().get(reverse("invitation", args=["x" * 43])).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    assert (
        strict.post(opened(strict, link_for("new@example.com")), {"password": "correct horse battery"}).status_code
        == 403
    )


def test_token_is_removed_from_the_address(link_for: Callable[[str], str], client: Client) -> None:
    link = link_for("new@example.com")
    response = client.get(link)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert link.split("/")[2] not in response.headers["Location"]
    assert client.post(link, {"password": "correct horse battery"}).status_code == 405
    assert Client().get(response.headers["Location"]).status_code == 404
    assert not User.objects.filter(username="new@example.com").exists()


def test_login_returns_to_the_invitation(link_for: Callable[[str], str], stranger: User, client: Client) -> None:
    page = opened(client, link_for(stranger.email))
    form = {"username": "stranger", "password": "a long password", "next": page}
    assert client.post(reverse("login"), form).headers["Location"] == page
    client.post(page)
    assert Membership.objects.filter(user=stranger).count() == 2
