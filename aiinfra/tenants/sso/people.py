"""Maps an identity provider's claims to an account, a membership, and a role."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from aiinfra.tenants import audit, members
from aiinfra.tenants.authorization import RANK, Role
from aiinfra.tenants.login.sessions import end_sessions
from aiinfra.tenants.members import MemberError, account_of
from aiinfra.tenants.models import Membership, User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.sso.models import Claims, Identity, IdentityProvider

NAME_MAX = 150
"""Characters of a username, which an address becomes."""
STAFF = "Administrators of the installation log in with their password and a second factor."


class NotAdmittedError(Exception):
    """The organization doesn't admit a person who authenticated at the provider; the message says why."""


@transaction.atomic
def admit(provider: IdentityProvider, claims: Claims, refresh_token: str) -> User:
    """The account of the claims, as a member with the role they map to. Raises NotAdmittedError.

    An account that exists gets this membership too; its sessions through this provider see only this organization.
    """
    email = verified_email(provider, claims)
    role = role_of(provider, claims)
    known = Identity.objects.select_for_update().filter(provider=provider, subject=claims["sub"]).first()
    user = known.user if known else account_of(email) or User.objects.create_user(email, email)
    if user.is_staff or user.is_superuser:
        raise NotAdmittedError(STAFF)
    if not user.is_active:
        raise NotAdmittedError("This account can't log in.")
    Identity.objects.update_or_create(
        provider=provider,
        subject=claims["sub"],
        defaults={
            "organization": provider.organization,
            "user": user,
            "refresh_token": refresh_token,
            "checked_at": timezone.now(),
            "ended_at": None,
        },
    )
    _join(provider, user, role)
    return user


def verified_email(provider: IdentityProvider, claims: Claims) -> str:
    """The address, in lowercase. Raises NotAdmittedError unless it is verified and in one of the domains."""
    email = str(claims.get("email") or "").strip().lower()
    if str(claims.get("email_verified")).lower() != "true" or not is_email(email):
        raise NotAdmittedError("The identity provider has not verified your email address.")
    if email.rpartition("@")[2] not in provider.domains:
        raise NotAdmittedError(f"This organization does not accept {email}.")
    return email


def is_email(text: str) -> bool:
    """Whether it can be the name of an account."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= NAME_MAX


def role_of(provider: IdentityProvider, claims: Claims) -> Role:
    """The highest role that a value of the claim maps to, else the default. Raises NotAdmittedError without either."""
    value = claims.get(provider.role_claim) if provider.role_claim else None
    values = value if isinstance(value, list) else [value]
    mapped = [Role(provider.role_map[each]) for each in values if isinstance(each, str) and each in provider.role_map]
    if mapped:
        return max(mapped, key=RANK.__getitem__)
    if not provider.default_role:
        raise NotAdmittedError("None of your groups has a role in this organization.")
    return Role(provider.default_role)


def _join(provider: IdentityProvider, user: User, role: Role) -> None:
    actor = f"sso:{provider.organization.slug}"
    membership = Membership.objects.filter(organization=provider.organization, user=user).first()
    if membership is None:
        members.add_member(organization=provider.organization, user=user, role=role, actor=actor)
        return
    try:
        members.change_role(membership=membership, role=role, by=None, actor=actor)
    except MemberError:  # the last owner stays one, or nobody could administer the organization
        return


@transaction.atomic
def end(identity: Identity, why: str) -> None:
    """The provider no longer vouches for the person: their sessions end, and their membership with its API keys.

    The last owner stays a member without a session.
    """
    Identity.objects.filter(pk=identity.pk).update(ended_at=timezone.now(), refresh_token="")
    user, organization = identity.user, identity.organization
    end_sessions(user, why=why, organization_id=organization.pk)
    membership = Membership.objects.filter(organization=organization, user=user).first()
    actor = f"sso:{organization.slug}"
    record(Event.SSO_ENDED, actor=actor, organization=organization.slug, target=user.get_username())
    if membership is None:
        return
    try:
        members.remove_member(membership=membership, by=None, actor=actor)
    except MemberError:
        members.end_keys(membership, actor)


def configured(provider: IdentityProvider, actor: str, verb: str) -> None:
    """Record a change of the provider in the audit log; never the secret."""
    target = provider.issuer[:200]
    audit.record(organization_id=provider.organization_id, actor=actor, verb=verb, target=target)
