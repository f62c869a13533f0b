"""Create and change organizations."""

import secrets

from django.core.validators import validate_email
from django.db import transaction

from aiinfra.tenants import audit
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import account_of, add_member
from aiinfra.tenants.models import Organization, User

EDITABLE = ("name", "time_zone")


@transaction.atomic
def create_organization(
    *, slug: str, name: str = "", time_zone: str = "UTC", is_demo: bool = False, actor: str
) -> Organization:
    """Create an organization without members. Raises ValidationError for a taken slug and for invalid values."""
    organization = Organization(slug=slug, name=name or slug, time_zone=time_zone, is_demo=is_demo)
    organization.full_clean()
    organization.save()
    audit.record(organization_id=organization.pk, actor=actor, verb="organization.created", target=slug)
    return organization


@transaction.atomic
def add_first_owner(organization: Organization, email: str, actor: str) -> str | None:
    """Make a person an owner; returns the password of a newly created account, which is shown only once.

    Raises ValidationError for an invalid address, and MemberError for an existing member.
    """
    validate_email(email)
    user = account_of(email)
    password = None if user else secrets.token_urlsafe(12)
    add_member(
        organization=organization,
        user=user or User.objects.create_user(email.lower(), email.lower(), password),
        role=Role.OWNER,
        actor=actor,
    )
    return password


@transaction.atomic
def update_organization(*, organization: Organization, name: str, time_zone: str, actor: str) -> bool:
    """Change name and time zone; False if nothing changed. Raises ValidationError for invalid values."""
    before = Organization.objects.get(pk=organization.pk)
    organization.name, organization.time_zone = name, time_zone
    organization.full_clean()
    pairs = {field: [getattr(before, field), getattr(organization, field)] for field in EDITABLE}
    changes = {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}
    if changes:
        organization.save(update_fields=list(changes))
        audit.record(
            organization_id=organization.pk,
            actor=actor,
            verb="organization.changed",
            target=organization.slug,
            changes=changes,
        )
    return bool(changes)
