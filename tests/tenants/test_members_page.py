import re
from collections.abc import Callable

from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Invitation, Membership, Organization, User
from tests.conftest import make_member

Browser = Callable[[User], Client]


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user)


def test_viewer_sees_members_without_controls(viewer: User, owner: User, client_of: Browser) -> None:
    page = client_of(viewer).get(reverse("members")).text
    assert "owner" in page
    assert reverse("member_invite") not in page
    assert 'data-dialog="#member-' not in page


def test_invitation_link_is_shown_once_and_works(admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    response = client.post(reverse("member_invite"), {"email": "new@example.com", "role": "viewer"})
    link = re.search(r"/invitations/[\w-]+/", response.text)
    assert link is not None
    assert "no-store" in response.headers["Cache-Control"]
    assert link[0] not in client.get(reverse("members")).text
    assert Client().get(link[0], follow=True).status_code == 200


def test_emailed_invitation_uses_the_public_url_and_ignores_the_host_header(
    admin: User, client_of: Browser, settings: Settings, mailoutbox: list[EmailMessage]
) -> None:
    settings.EMAIL_HOST, settings.AIINFRA_PUBLIC_URL = "mail.example", "https://ai.example/"
    settings.ALLOWED_HOSTS = ["evil.example", "testserver"]
    form = {"email": "new@example.com", "role": "viewer"}
    client_of(admin).post(reverse("member_invite"), form, headers={"Host": "evil.example"})
    assert "https://ai.example/invitations/" in mailoutbox[0].body
    assert "evil.example" not in str(mailoutbox[0].message())


def test_admin_cannot_invite_an_owner(admin: User, client_of: Browser) -> None:
    response = client_of(admin).post(reverse("member_invite"), {"email": "new@example.com", "role": "owner"})
    assert response.status_code == 422
    assert "data-open" in response.text
    assert not Invitation._base_manager.exists()


def test_role_is_changed(admin: User, viewer: User, client_of: Browser) -> None:
    response = client_of(admin).post(
        reverse("member_role", args=[membership(viewer).pk]), {"role": "finance"}, follow=True
    )
    assert "viewer now has the role finance." in response.text
    assert membership(viewer).role == "finance"


def test_removing_the_last_owner_is_refused_with_the_reason(owner: User, client_of: Browser) -> None:
    response = client_of(owner).post(reverse("member_remove", args=[membership(owner).pk]))
    assert response.status_code == 422
    assert "at least one owner" in response.text


def test_demotion_and_removal_apply_to_the_next_request(owner: User, admin: User, client_of: Browser) -> None:
    browser = client_of(admin)
    assert browser.get(reverse("keys")).status_code == 200
    client_of(owner).post(reverse("member_role", args=[membership(admin).pk]), {"role": "viewer"})
    assert browser.get(reverse("keys")).status_code == 403
    client_of(owner).post(reverse("member_remove", args=[membership(admin).pk]))
    assert browser.get(reverse("members")).status_code == 404


def test_invitation_is_withdrawn(organization: Organization, admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    client.post(reverse("member_invite"), {"email": "new@example.com", "role": "viewer"})
    response = client.post(reverse("invitation_withdraw", args=[Invitation._base_manager.get().pk]), follow=True)
    assert " withdrawn." in response.text
    assert not Invitation._base_manager.exists()


def test_query_count_does_not_grow_with_members(organization: Organization, admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("members"))
    for number in range(10):
        make_member(organization, Role.VIEWER, f"member-{number}")
        client.post(reverse("member_invite"), {"email": f"{number}@example.com", "role": "viewer"})
    with CaptureQueriesContext(connection) as many:
        client.get(reverse("members"))
    assert len(many) == len(few)
