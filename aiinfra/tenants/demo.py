"""The demo organizations of a fresh installation."""

import os
from pathlib import Path

from django.conf import settings
from django.db import transaction

from aiinfra.tenants import audit, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import add_member
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.organizations import create_organization
from aiinfra.tenants.scope import organization_scope

DEMO_PASSWORD = "demo-password"  # noqa: S105 - told to everybody on purpose, and only where a demo organization exists
DEMO_SLUG = "demo"
KEY_NAME = "demo"
ORGANIZATIONS = {DEMO_SLUG: ("Demo Company", "Europe/Berlin"), "acme": ("Acme Inc.", "America/New_York")}
PEOPLE = [
    ("owner@demo", Role.OWNER, ["demo", "acme"]),
    ("admin@demo", Role.ADMIN, ["demo"]),
    ("finance@demo", Role.FINANCE, ["demo"]),
    ("operator@demo", Role.OPERATOR, ["demo"]),
    ("viewer@demo", Role.VIEWER, ["demo"]),
]


def demo_logins() -> list[str]:
    """The usernames of the demo accounts; empty if there is no demo organization."""
    return [name for name, _, _ in PEOPLE] if Organization.objects.filter(is_demo=True).exists() else []


def key_path() -> Path:
    """Where the demo API key's text is stored, so that it can be shown again."""
    return Path(settings.DATA_DIR) / "demo_api_key"


@transaction.atomic
def seed() -> str:
    """Create the missing demo organizations, people and key; returns the key's text. Idempotent."""
    actor = audit.command_actor("seed_demo")
    organizations = {slug: _organization(slug, actor) for slug in ORGANIZATIONS}
    for name, role, slugs in PEOPLE:
        user = _person(name, is_staff=role is Role.OWNER)
        for slug in slugs:
            if not Membership.objects.filter(organization=organizations[slug], user=user).exists():
                add_member(organization=organizations[slug], user=user, role=role, actor=actor)
    return _key(organizations[DEMO_SLUG], actor)


def _organization(slug: str, actor: str) -> Organization:
    name, time_zone = ORGANIZATIONS[slug]
    existing = Organization.objects.filter(slug=slug).first()
    return existing or create_organization(slug=slug, name=name, time_zone=time_zone, is_demo=True, actor=actor)


def _person(name: str, *, is_staff: bool) -> User:
    existing = User.objects.filter(username=name).first()
    return existing or User.objects.create_user(
        name, f"{name}.example", DEMO_PASSWORD, is_staff=is_staff, is_superuser=is_staff
    )


def _key(organization: Organization, actor: str) -> str:
    """The stored key while it works, otherwise a new one."""
    path = key_path()
    if path.exists() and keys.authenticate(f"Bearer {path.read_text(encoding='utf-8')}"):
        return path.read_text(encoding="utf-8")
    with organization_scope(organization.pk):
        for lost in ApiKey.objects.filter(name=KEY_NAME, created_by=None, revoked_at=None):
            keys.revoke_key(key=lost, actor=actor)
    _, text = keys.create_key(organization=organization, name=KEY_NAME, role=Role.ADMIN, actor=actor)
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return text
