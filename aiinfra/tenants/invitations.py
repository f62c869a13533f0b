"""Invitations: a link that is shown once, and accepting it."""

import hashlib
import logging
import secrets
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import MemberError, account_of, add_member, check_may_grant, could_invite
from aiinfra.tenants.models import Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope

logger = logging.getLogger(__name__)

VALID_FOR = timedelta(days=7)
TAKEN = "An account with this address already exists. Log in to accept."


@transaction.atomic
def invite(*, organization: Organization, email: str, role: Role, by: User, actor: str) -> tuple[Invitation, str]:
    """Create an invitation; returns it with its token, which is shown only once. An earlier invitation to the same
    address is withdrawn.

    Raises MemberError for a role above that of `by` and for an existing member.
    """
    check_may_grant(by, organization, role)
    if Membership.objects.filter(organization=organization, user__email__iexact=email).exists():
        raise MemberError("This person is already a member.")
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
    """Email the link if a mail server is configured; False if it was not sent."""
    if not settings.EMAIL_HOST:
        return False
    text = f"Join {invitation.organization} as {invitation.role}:\n\n{link}\n\nThis link expires in 7 days.\n"
    try:
        return bool(send_mail(f"Join {invitation.organization.slug}", text, None, [invitation.email]))
    except OSError:
        logger.exception("could not email an invitation")
        return False


@transaction.atomic
def withdraw(*, invitation: Invitation, actor: str) -> None:
    """Invalidate the link."""
    invitation.delete()
    audit.record(
        organization_id=invitation.organization_id,
        actor=actor,
        verb="member.invitation_withdrawn",
        target=invitation.email,
    )


def find_open(token: str) -> Invitation | None:
    """The invitation behind a link; None if it is used, withdrawn or expired, or if the person who invited could not do
    so today.
    """
    with system_scope():
        open_ones = Invitation.objects.select_related("organization", "invited_by").filter(
            token_digest=digest_of(token), accepted_at=None, expires_at__gt=timezone.now()
        )
        found = open_ones.first()
    return found if found and _inviter_still_may(found) else None


def _inviter_still_may(invitation: Invitation) -> bool:
    """Whether the inviter still has the required role, however it was changed since."""
    membership = Membership.objects.filter(
        organization=invitation.organization_id, user=invitation.invited_by, user__is_active=True
    ).first()
    return membership is not None and could_invite(Role(membership.role), Role(invitation.role))


@transaction.atomic
def accept_with_new_account(*, invitation: Invitation, password: str) -> User:
    """Create an account for the invited address and join. Raises MemberError if the address has an account or the link
    is used.
    """
    if account_of(invitation.email):
        raise MemberError(TAKEN)
    try:
        with transaction.atomic():
            user = User.objects.create_user(invitation.email, invitation.email, password)
    except IntegrityError:  # the link was opened twice at the same time
        raise MemberError(TAKEN) from None
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
    """What the database stores of a link's token. The token has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
