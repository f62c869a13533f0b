"""What creating, rotating, changing, and revoking an API key stores and writes to the audit log."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from django.utils import timezone

from aiinfra.tenants import audit, keys, peppers
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import ApiKey, AuditEvent, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.tenants.made_keys import make, stored

NOON = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = KeyLimits(
    requests_per_minute=1,
    concurrent_requests=2,
    tokens_per_minute=3,
    nano_per_minute=4,
    networks=(ip_network("10.0.0.0/8"),),
    access=KeyAccess(("gpt-4",), ("chat",), ("team-a",), "high", "https://hooks.example.com/"),
)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOON)


def logged(organization: Organization, verb: str) -> AuditEvent:
    with organization_scope(organization.pk):
        return AuditEvent.objects.get(verb=verb)


def test_created_key_is_stored_with_every_value(organization: Organization, admin: User) -> None:
    key, _ = make(
        organization, scopes=["queue:write", "queue:read"], expires_at=NOON + HOUR, created_by=admin, limits=LIMITS
    )
    found = stored(key)
    assert (found.name, found.role, found.scopes) == ("bot", "operator", ["queue:read", "queue:write"])
    assert (found.expires_at, found.created_by, found.limits) == (NOON + HOUR, admin, LIMITS)
    assert found.pepper_id == peppers.pepper_id()


def test_creation_is_logged_with_role_scopes_and_limits(organization: Organization) -> None:
    key, _ = make(organization, scopes=["queue:read"], limits=KeyLimits(requests_per_minute=5))
    event = logged(organization, "api_key.created")
    assert (event.actor, event.target) == ("command:test", f"bot ({key.key_id})")
    assert event.changes == {
        "role": [None, "operator"],
        "scopes": [None, ["queue:read"]],
        "requests_per_minute": [None, 5],
    }


def test_key_without_a_webhook_stores_none(organization: Organization) -> None:
    key, _ = make(organization)
    assert stored(key).webhook is None


def test_invisible_character_in_the_name_is_refused(organization: Organization) -> None:
    with pytest.raises(ValueError, match=r"U\+202E"):
        keys.create_key(organization=organization, name="b\u202eot", role=Role.VIEWER, actor="command:test")


def test_unknown_scopes_and_scopes_of_another_role_are_distinguished(organization: Organization) -> None:
    with pytest.raises(ValueError, match="Unknown scope no:such"):
        make(organization, Role.VIEWER, scopes=["no:such"])
    with pytest.raises(ValueError, match="viewer does not have the scope queue:write"):
        make(organization, Role.VIEWER, scopes=["queue:write"])


def test_rights_in_another_organization_do_not_count(
    organization: Organization, other_organization: Organization, viewer: User
) -> None:
    Membership.objects.create(organization=other_organization, user=viewer, role=Role.OWNER.value)
    with pytest.raises(keys.PermissionExceededError):
        make(organization, Role.OPERATOR, created_by=viewer)
    assert make(other_organization, Role.OPERATOR, created_by=viewer)


def test_rotation_keeps_permissions_limits_and_expiry(organization: Organization, admin: User) -> None:
    key, _ = make(organization, scopes=["queue:read"], expires_at=NOON + 9 * HOUR, created_by=admin, limits=LIMITS)
    with organization_scope(organization.pk):
        new, _ = keys.rotate_key(key=key, overlap=HOUR, actor="user:owner")
    found = stored(new)
    assert (found.name, found.role, found.scopes) == ("bot", "operator", ["queue:read"])
    assert (found.expires_at, found.created_by, found.limits) == (NOON + 9 * HOUR, admin, LIMITS)
    event = logged(organization, "api_key.rotated")
    assert (event.actor, event.target) == ("user:owner", f"bot ({key.key_id})")
    assert event.changes == {
        "replaced_by": [None, new.key_id],
        "expires_at": ["2026-05-04T21:00:00+00:00", "2026-05-04T13:00:00+00:00"],
    }


def test_line_has_every_key_of_repeated_rotations_and_no_other(organization: Organization) -> None:
    other, _ = make(organization)
    first, _ = make(organization)
    alone, _ = make(organization)
    with organization_scope(organization.pk):
        other_new, _ = keys.rotate_key(key=other, overlap=HOUR, actor="user:owner")
        second, _ = keys.rotate_key(key=first, overlap=HOUR, actor="user:owner")
        third, _ = keys.rotate_key(key=second, overlap=HOUR, actor="user:owner")
        for key in (first, second, third):
            assert set(keys.line_of(key.pk)) == {first, second, third}
        assert set(keys.line_of(other.pk)) == {other, other_new}
        assert list(keys.line_of(alone.pk)) == [alone]
    assert second.line == third.line == stored(first).line == stored(third).line == first.key_id


def test_expiry_changes_only_for_its_key_and_is_logged(organization: Organization) -> None:
    key, _ = make(organization)
    other, _ = make(organization)
    with organization_scope(organization.pk):
        assert keys.change_expiry(key=key, expires_at=NOON + HOUR, by=Role.ADMIN, actor="user:admin") is True
    assert (stored(key).expires_at, stored(other).expires_at) == (NOON + HOUR, None)
    event = logged(organization, "api_key.expiry_changed")
    assert (event.actor, event.target) == ("user:admin", f"bot ({key.key_id})")
    assert event.changes == {"expires_at": [None, "2026-05-04T13:00:00+00:00"]}


def test_unchanged_expiry_is_not_logged(organization: Organization) -> None:
    key, _ = make(organization, expires_at=NOON + HOUR)
    with organization_scope(organization.pk):
        assert keys.change_expiry(key=key, expires_at=NOON + HOUR, by=Role.ADMIN, actor="user:admin") is False
        assert not AuditEvent.objects.filter(verb="api_key.expiry_changed").exists()


def test_expiry_must_be_later_than_now(organization: Organization) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        with pytest.raises(ValueError, match="in the future"):
            keys.change_expiry(key=key, expires_at=NOON, by=Role.ADMIN, actor="user:admin")
        assert keys.change_expiry(
            key=key, expires_at=NOON + timedelta(microseconds=1), by=Role.ADMIN, actor="user:admin"
        )


def test_revocation_is_logged(organization: Organization) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        assert keys.revoke_key(key=key, actor="user:admin") is True
        assert keys.revoke_key(key=key, actor="user:admin") is False
    assert stored(key).revoked_at == NOON
    event = logged(organization, "api_key.revoked")
    assert (event.actor, event.target) == ("user:admin", f"bot ({key.key_id})")


@pytest.mark.parametrize(
    "change",
    [
        lambda key: make(key.organization),
        lambda key: keys.rotate_key(key=key, overlap=HOUR, actor="user:owner"),
        lambda key: keys.change_expiry(key=key, expires_at=NOON + HOUR, by=Role.OWNER, actor="user:owner"),
        lambda key: keys.revoke_key(key=key, actor="user:owner"),
    ],
    ids=["create", "rotate", "expire", "revoke"],
)
def test_change_that_cannot_be_logged_is_not_made(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, change: Callable[[ApiKey], object]
) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        before = list(ApiKey.objects.values())

        def fail(**_: object) -> None:
            raise OSError

        monkeypatch.setattr(audit, "record", fail)
        with pytest.raises(OSError):
            change(key)
        assert list(ApiKey.objects.values()) == before
