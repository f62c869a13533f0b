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
    """The address of an invitation for an e-mail address."""

    def make(email: str) -> str:
        _, token = invitations.invite(
            organization=organization, email=email, role=Role.OPERATOR, by=admin, actor="user:admin"
        )
        return reverse("invitation", args=[token])

    return make


def test_a_new_person_makes_an_account_and_is_in(link_for: Callable[[str], str], client: Client) -> None:
    link = link_for("new@example.com")
    assert "Join North Ltd" in client.get(link).text
    response = client.post(link, {"password": "correct horse battery"})
    assert response.status_code == 302
    assert Membership.objects.get(user__username="new@example.com").role == "operator"
    assert client.get(reverse("members")).status_code == 200
    assert Client().get(link).status_code == 404


@pytest.mark.parametrize("password", ["", "short", "password1234", "new@example.com"])
def test_a_weak_password_is_refused_with_the_reason(
    link_for: Callable[[str], str], client: Client, password: str
) -> None:
    response = client.post(link_for("new@example.com"), {"password": password})
    assert response.status_code == 422
    assert "errorlist" in response.text
    assert not User.objects.filter(username="new@example.com").exists()


def test_an_existing_person_has_to_log_in(link_for: Callable[[str], str], stranger: User, client: Client) -> None:
    link = link_for(stranger.email)
    assert "Log in to accept" in client.get(link).text
    assert client.post(link, {"password": "correct horse battery"}).status_code == 422
    assert Membership.objects.filter(user=stranger).count() == 1


def test_who_is_logged_in_joins_with_that_account_and_lands_in_the_organization(
    link_for: Callable[[str], str], stranger: User, client_of: Browser
) -> None:
    client = client_of(stranger)
    link = link_for(stranger.email)
    assert "Join as stranger" in client.get(link).text
    client.post(link)
    assert "The members of North Ltd" in client.get(reverse("members")).text


def test_another_account_cannot_accept(link_for: Callable[[str], str], viewer: User, client_of: Browser) -> None:
    response = client_of(viewer).post(link_for("another@example.com"))
    assert response.status_code == 422
    assert "This invitation is for another@example.com" in response.text
    assert Membership.objects.get(user=viewer).role == "viewer"


def test_an_unknown_link_is_404_and_a_post_needs_a_csrf_token(link_for: Callable[[str], str]) -> None:
    assert Client().get(reverse("invitation", args=["x" * 43])).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(link_for("new@example.com"), {"password": "correct horse battery"}).status_code == 403
