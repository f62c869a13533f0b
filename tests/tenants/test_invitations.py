from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra.tenants import invitations
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import MemberError
from aiinfra.tenants.models import Invitation, Membership, Organization, User
from aiinfra.tenants.scope import system_scope


def make(organization: Organization, by: User, email: str = "new@example.com") -> tuple[Invitation, str]:
    return invitations.invite(organization=organization, email=email, role=Role.OPERATOR, by=by, actor="user:x")


def test_new_user_joins_with_a_new_account(organization: Organization, admin: User) -> None:
    invitation, token = make(organization, admin)
    assert invitations.find_open(token) == invitation
    user = invitations.accept_with_new_account(invitation=invitation, password="a long password")
    assert user.check_password("a long password")
    assert Membership.objects.get(user=user).role == "operator"
    assert invitations.find_open(token) is None


def test_existing_user_joins_and_keeps_their_password(organization: Organization, admin: User, stranger: User) -> None:
    invitation, _ = make(organization, admin, stranger.email.upper())
    with pytest.raises(MemberError, match="Log in"):
        invitations.accept_with_new_account(invitation=invitation, password="another password")
    invitations.accept(invitation=invitation, user=stranger)
    assert Membership.objects.filter(user=stranger).count() == 2
    stranger.refresh_from_db()
    assert stranger.check_password("a long password")


def test_link_works_once_and_expires_after_a_week(organization: Organization, admin: User, stranger: User) -> None:
    invitation, _ = make(organization, admin, stranger.email)
    invitations.accept(invitation=invitation, user=stranger)
    with pytest.raises(MemberError, match="used"):
        invitations.accept(invitation=invitation, user=stranger)
    old, old_token = make(organization, admin, "late@example.com")
    with system_scope():
        Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert invitations.find_open(old_token) is None
    with pytest.raises(MemberError, match="used or withdrawn"):
        invitations.accept(invitation=old, user=User.objects.create_user("fourth", "late@example.com"))


def test_invitation_is_only_for_the_account_with_its_address(
    organization: Organization, admin: User, viewer: User, stranger: User
) -> None:
    """A leaked link is useless to others, including members who would gain rights."""
    invitation, token = make(organization, admin, "new@example.com")
    for user in (viewer, stranger, User.objects.create_user("nobody", "")):
        with pytest.raises(MemberError, match=r"for new@example\.com"):
            invitations.accept(invitation=invitation, user=user)
    assert invitations.find_open(token) == invitation


def test_accepting_as_an_existing_member_does_not_use_up_the_link(organization: Organization, admin: User) -> None:
    invitation, token = make(organization, admin, "late@example.com")
    admin.email = "late@example.com"
    admin.save(update_fields=["email"])
    with pytest.raises(MemberError, match="already"):
        invitations.accept(invitation=invitation, user=admin)
    assert invitations.find_open(token) == invitation


def test_database_contains_no_usable_token(organization: Organization, admin: User) -> None:
    invitation, token = make(organization, admin)
    assert token not in str(Invitation._base_manager.values_list().get(pk=invitation.pk))
    assert invitations.find_open(invitation.token_digest) is None


def test_inviting_again_invalidates_the_first_link(organization: Organization, admin: User) -> None:
    _, first = make(organization, admin)
    _, second = make(organization, admin, "NEW@example.com")
    assert invitations.find_open(first) is None
    assert invitations.find_open(second) is not None


def test_members_cannot_be_invited_and_roles_are_limited(organization: Organization, admin: User, owner: User) -> None:
    with pytest.raises(MemberError, match="already"):
        make(organization, admin, owner.email)
    with pytest.raises(MemberError, match="can't grant"):
        invitations.invite(organization=organization, email="x@y.zz", role=Role.OWNER, by=admin, actor="user:admin")


def test_link_is_emailed_when_a_mail_server_is_configured(
    organization: Organization, admin: User, settings: Settings, mailoutbox: list[object]
) -> None:
    invitation, _ = make(organization, admin)
    settings.EMAIL_HOST = ""
    assert not invitations.send(invitation, "https://here/link")
    settings.EMAIL_HOST = "mail.example.com"
    assert invitations.send(invitation, "https://here/link")
    assert "https://here/link" in mailoutbox[0].body  # type: ignore[attr-defined]


@pytest.mark.parametrize("token", ["", "\0", "\ud800", "x" * 100_000])
@pytest.mark.django_db
def test_malformed_token_finds_no_invitation(token: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert invitations.find_open(token) is None
