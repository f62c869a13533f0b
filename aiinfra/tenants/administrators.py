"""Installation administrators: people who may do everything, in all organizations and in Django admin."""

import secrets

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from aiinfra.tenants import audit, demo_rules
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import account_of, add_member
from aiinfra.tenants.models import Membership, Organization, User
from aiinfra.tenants.organizations import create_organization


def exists() -> bool:
    """Whether someone can administer the installation."""
    return User.objects.filter(is_superuser=True, is_active=True).exists()


@transaction.atomic
def create_administrator(*, email: str, organization: str = "", actor: str) -> str | None:
    """Make a person an administrator, and an owner of the organization with that slug, which is created if missing.

    Returns the password of a new account, which is shown only once, and None for an existing account. Raises
    ValidationError for an invalid address, a demo account or an invalid slug.
    """
    validate_email(email)
    if demo_rules.is_demo_name(email):
        raise ValidationError("A demo account can't be an administrator.")
    user, password = _account(email.lower())
    user.is_staff = user.is_superuser = user.is_active = True
    user.save(update_fields=["is_staff", "is_superuser", "is_active"])
    audit.record(organization_id=None, actor=actor, verb="administrator.created", target=user.get_username())
    if organization:
        _join(user, organization, actor)
    return password


def _account(email: str) -> tuple[User, str | None]:
    if user := account_of(email):
        return user, None
    password = secrets.token_urlsafe(16)
    return User.objects.create_user(email, email, password), password


def _join(user: User, slug: str, actor: str) -> None:
    organization = Organization.objects.filter(slug=slug).first() or create_organization(slug=slug, actor=actor)
    if not Membership.objects.filter(organization=organization, user=user).exists():
        add_member(organization=organization, user=user, role=Role.OWNER, actor=actor)
