from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra import timed_cache
from aiinfra.tenants import key_authentication, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.webhook_secrets import rotate_webhook_secret
from tests.tenants.made_keys import make, stored


def test_both_keys_work_during_the_overlap(organization: Organization) -> None:
    key, old_text = make(organization, scopes=["queue:read"])
    with organization_scope(organization.pk):
        new, new_text = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="user:owner")
    assert new.scopes == ["queue:read"]
    assert key_authentication.authenticate(f"Bearer {old_text}")
    assert key_authentication.authenticate(f"Bearer {new_text}")
    old = stored(key)
    assert old.replaced_by_id == new.pk
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("expires_in", "old_ends_in"),
    [
        (timedelta(minutes=30), timedelta(minutes=30)),
        (timedelta(days=90), timedelta(hours=1)),
        (None, timedelta(hours=1)),
    ],
    ids=["expires within the overlap", "expires later", "never expires"],
)
def test_rotation_never_extends_a_key_s_lifetime(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, expires_in: timedelta | None, old_ends_in: timedelta
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    key, old_text = make(organization, expires_at=now + expires_in if expires_in else None)
    with organization_scope(organization.pk):
        new, new_text = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="user:owner")
        logged = AuditEvent.objects.get(verb="api_key.rotated").changes
    assert stored(key).expires_at == now + old_ends_in
    assert stored(new).expires_at == (now + expires_in if expires_in else None)
    assert logged["expires_at"][1] == (now + old_ends_in).isoformat(timespec="seconds"), (
        "the audit log has another expiry"
    )
    now += max(old_ends_in, expires_in or timedelta(0))
    timed_cache.clear_all()
    assert key_authentication.authenticate(f"Bearer {old_text}") is None
    assert (key_authentication.authenticate(f"Bearer {new_text}") is None) is (expires_in is not None)


def test_only_an_active_key_can_be_rotated(organization: Organization) -> None:
    key, _ = make(organization)
    expired, _ = make(organization, expires_at=timezone.now())
    with organization_scope(organization.pk):
        new, _ = keys.rotate_key(key=key, overlap=timedelta(hours=24), actor="user:owner")
        for unusable in (key, expired):
            with pytest.raises(ValueError, match="active key"):
                keys.rotate_key(key=unusable, overlap=timedelta(0), actor="user:owner")
        keys.rotate_key(key=new, overlap=timedelta(0), actor="user:owner")
        assert ApiKey.objects.count() == 4


def test_new_key_belongs_to_the_rotating_user_or_else_to_the_original_creator(
    organization: Organization, owner: User, admin: User
) -> None:
    key, _ = make(organization, Role.VIEWER, created_by=owner)
    with organization_scope(organization.pk):
        second, _ = keys.rotate_key(key=key, overlap=timedelta(0), actor="command:test")
        third, _ = keys.rotate_key(key=second, overlap=timedelta(0), rotated_by=admin, actor="user:admin")
    assert (stored(second).created_by, stored(third).created_by) == (owner, admin)
    assert (third.name, third.role, third.organization_id) == (key.name, Role.VIEWER, organization.pk)


def test_rotation_without_overlap_ends_the_old_key_immediately(organization: Organization) -> None:
    key, text = make(organization)
    with organization_scope(organization.pk):
        keys.rotate_key(key=key, overlap=timedelta(0), actor="user:owner")
    assert key_authentication.authenticate(f"Bearer {text}") is None


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(hours=24, seconds=1)])
def test_rotation_rejects_invalid_overlaps(organization: Organization, overlap: timedelta) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk), pytest.raises(ValueError, match="24 hours"):
        keys.rotate_key(key=key, overlap=overlap, actor="user:owner")


def test_rotation_requires_a_key_in_use_and_permission_to_create_it(organization: Organization, admin: User) -> None:
    key, _ = make(organization, Role.OWNER)
    with organization_scope(organization.pk):
        with pytest.raises(keys.PermissionExceededError):
            keys.rotate_key(key=key, overlap=timedelta(0), rotated_by=admin, actor="user:admin")
        keys.revoke_key(key=key, actor="user:owner")
        with pytest.raises(ValueError, match="active key"):
            keys.rotate_key(key=key, overlap=timedelta(0), actor="user:owner")


def test_rotation_keeps_the_webhook_signing_secret(organization: Organization) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        secret = rotate_webhook_secret(key=key, actor="user:owner")
        new, _ = keys.rotate_key(key=key, overlap=timedelta(0), actor="user:owner")
    assert (stored(key).webhook_secret, stored(new).webhook_secret) == (secret, secret)
