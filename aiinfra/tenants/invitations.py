"""Asking people to join: a link that is told once, and what happens when somebody follows it."""

import hashlib
import logging
import secrets
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import MemberError, account_of, add_member, check_may_grant
from aiinfra.tenants.models import Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope

logger = logging.getLogger(__name__)

VALID_FOR = timedelta(days=7)


@transaction.atomic
def invite(*, organization: Organization, email: str, role: Role, by: User, actor: str) -> tuple[Invitation, str]:
    """An invitation and its token, which is told this once; an earlier one to the same address ends.

    Raises MemberError for a role above that of `by` and for somebody who is a member already.
    """
    check_may_grant(by, organization, role)
    if Membership.objects.filter(organization=organization, user__email__iexact=email).exists():
        raise MemberError("This person is a member already.")
    token = secrets.token_urlsafe(32)
    with organization_scope(organization.pk):
        Invitation.objects.filter(email__iexact=email, accepted_at=None).delete()
        invitation = Invitation.objects.create(
            organization=organization,
            email=email.lower(),
            role=role.value,
            token_digest=digest_of(token),
            invited_by=by,
            expires_at=timezone.now() + VALID_FOR,
        )
    audit.record(
        organization_id=organization.pk,
        actor=actor,
        verb="member.invited",
        target=invitation.email,
        changes={"role": [None, role.value]},
    )
    return invitation, token


def send(invitation: Invitation, link: str) -> bool:
    """E-mail the link where a mail server is set up; False if it was not sent."""
    if not settings.EMAIL_HOST:
        return False
    text = f"Join {invitation.organization} as {invitation.role}:\n\n{link}\n\nThe link is good for 7 days.\n"
    try:
        return bool(send_mail(f"Join {invitation.organization.slug}", text, None, [invitation.email]))
    except OSError:
        logger.exception("an invitation could not be e-mailed")
        return False


@transaction.atomic
def withdraw(*, invitation: Invitation, actor: str) -> None:
    """Make the link worthless."""
    invitation.delete()
    audit.record(
        organization_id=invitation.organization_id,
        actor=actor,
        verb="member.invitation_withdrawn",
        target=invitation.email,
    )


def find_open(token: str) -> Invitation | None:
    """The invitation behind a link, if it still holds."""
    with system_scope():
        open_ones = Invitation.objects.select_related("organization", "invited_by").filter(
            token_digest=digest_of(token), accepted_at=None, expires_at__gt=timezone.now()
        )
        return open_ones.first()


@transaction.atomic
def accept_with_new_account(*, invitation: Invitation, password: str) -> User:
    """Make an account for the invited address and join. Raises MemberError if it has one or the link is used."""
    if account_of(invitation.email):
        raise MemberError("There is an account for this address already: log in to accept.")
    user = User.objects.create_user(invitation.email, invitation.email, password)
    accept(invitation=invitation, user=user)
    return user


@transaction.atomic
def accept(*, invitation: Invitation, user: User) -> Membership:
    """Join with the account of the invited address.

    Raises MemberError for another account, for a link that is used or expired, and for a member.
    """
    if account_of(invitation.email) != user:
        raise MemberError(f"This invitation is for {invitation.email}. Log in with that account to accept it.")
    with organization_scope(invitation.organization_id):
        now = timezone.now()
        open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, expires_at__gt=now)
        if not open_ones.update(accepted_at=now):
            raise MemberError("This invitation has been used or withdrawn.")
    return add_member(
        organization=invitation.organization,
        user=user,
        role=Role(invitation.role),
        actor=audit.user_actor(user),
    )


def digest_of(token: str) -> str:
    """What the database keeps of a link's token, which has 256 random bits: a plain hash is enough."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
