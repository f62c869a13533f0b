"""The demo organizations of a fresh installation."""

import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.db import transaction
from django.db.models import QuerySet

from aiinfra import epochs
from aiinfra.tenants import audit, demo_rules, key_authentication, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import add_member
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.organizations import create_organization
from aiinfra.tenants.scope import organization_scope

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


class DemoRefusedError(Exception):
    """Demo accounts are not allowed here; the message says which setting forbids them."""


def demo_logins() -> list[str]:
    """The usernames of the demo accounts that can log in."""
    if demo_rules.obstacles():
        return []
    active = set(active_people().values_list("username", flat=True))
    return [name for name, _, _ in PEOPLE if name in active]


def demo_people() -> QuerySet[User]:
    """The demo accounts of this installation."""
    return User.objects.filter(username__endswith=demo_rules.DEMO_SUFFIX)


def active_people() -> QuerySet[User]:
    """The demo accounts that have not been deactivated, whether they are allowed or not."""
    return demo_people().filter(is_active=True)


def key_path() -> Path:
    """Where the demo API key's text is stored, so that it can be shown again."""
    return Path(settings.DATA_DIR) / "demo_api_key"


def password_path() -> Path:
    """Where the password of the demo accounts is stored."""
    return Path(settings.DATA_DIR) / "demo_password"


def password() -> str:
    """The password of the demo accounts; "" if there is none."""
    return password_path().read_text(encoding="utf-8") if password_path().exists() else ""


def take_new_password() -> str:
    """The password, the first time; "" after that, when the file is the only place to find it."""
    if not password() or _shown_path().exists():
        return ""
    _write_private(_shown_path(), "")
    return password()


@transaction.atomic
def seed() -> str:
    """Create the missing demo organizations, people and key; returns the key's text. Idempotent.

    Raises DemoRefusedError if others can reach this installation, or if its requests cost money.
    """
    if found := demo_rules.obstacles():
        raise DemoRefusedError(f"Demo accounts are only for trying aiinfra on one machine, but {', '.join(found)}.")
    actor = audit.command_actor("seed_demo")
    organizations = {slug: _organization(slug, actor) for slug in ORGANIZATIONS}
    for name, role, slugs in PEOPLE:
        user = User.objects.filter(username=name).first() or User.objects.create_user(name, f"{name}.example")
        for slug in slugs:
            if not Membership.objects.filter(organization=organizations[slug], user=user).exists():
                add_member(organization=organizations[slug], user=user, role=role, actor=actor)
    set_passwords()
    return _key(organizations[DEMO_SLUG], actor)


@transaction.atomic
def set_passwords() -> None:
    """Give the stored password to demo accounts that have none; a new one to all of them if the file is missing. Does
    nothing where demo accounts are not allowed.
    """
    people = demo_people()
    if password():
        people = people.filter(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    if demo_rules.obstacles() or not people.exists():
        return
    if not password():
        _shown_path().unlink(missing_ok=True)
        _write_private(password_path(), secrets.token_urlsafe(12))
    people.update(password=make_password(password()))


@transaction.atomic
def remove_people() -> int:
    """Deactivate the demo accounts and revoke the demo API key; returns the number of accounts. Their requests and
    costs stay.
    """
    actor = audit.command_actor("seed_demo")
    for organization in Organization.objects.filter(is_demo=True):
        with organization_scope(organization.pk):
            for key in ApiKey.objects.filter(name=KEY_NAME, created_by=None, revoked_at=None):
                keys.revoke_key(key=key, actor=actor)
    count = active_people().update(is_active=False, is_staff=False, is_superuser=False)
    epochs.change(None)
    for path in (key_path(), password_path()):
        path.unlink(missing_ok=True)
    return int(count)


def _shown_path() -> Path:
    """Exists once the password has been shown."""
    return Path(settings.DATA_DIR) / "demo_password_shown"


def _organization(slug: str, actor: str) -> Organization:
    name, time_zone = ORGANIZATIONS[slug]
    existing = Organization.objects.filter(slug=slug).first()
    return existing or create_organization(slug=slug, name=name, time_zone=time_zone, is_demo=True, actor=actor)


def _key(organization: Organization, actor: str) -> str:
    """The stored key while it works, otherwise a new one."""
    path = key_path()
    if path.exists() and key_authentication.authenticate(f"Bearer {path.read_text(encoding='utf-8')}"):
        return path.read_text(encoding="utf-8")
    with organization_scope(organization.pk):
        for lost in ApiKey.objects.filter(name=KEY_NAME, created_by=None, revoked_at=None):
            keys.revoke_key(key=lost, actor=actor)
    _, text = keys.create_key(organization=organization, name=KEY_NAME, role=Role.ADMIN, actor=actor)
    _write_private(path, text)
    return text


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
