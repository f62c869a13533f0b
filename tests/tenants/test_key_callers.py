"""The callers that API keys stand for, in requests and in their background work."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiinfra import epochs, timed_cache
from aiinfra.tenants import key_authentication, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.tenants.made_keys import make, stored

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def authenticated(text: str) -> object:
    """The caller, without the cache."""
    timed_cache.clear_all()
    return key_authentication.authenticate(f"Bearer {text}")


@pytest.mark.parametrize(("seconds", "is_recorded"), [(59.9, False), (60, True), (90, True)])
def test_use_is_recorded_a_minute_after_the_last(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, seconds: float, is_recorded: bool
) -> None:
    key, text = make(organization)
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    assert authenticated(text)
    assert stored(key).last_used_at == NOON
    later = NOON + timedelta(seconds=seconds)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert authenticated(text)
    assert stored(key).last_used_at == (later if is_recorded else NOON)


def test_key_works_while_the_database_takes_no_writes(organization: Organization) -> None:
    _, text = make(organization)

    def refuse_writes(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("read-only")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse_writes):
        assert authenticated(text)


def test_recognized_caller_is_the_last_one_known(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    seconds = 100.0
    monkeypatch.setattr("aiinfra.timed_cache.time.monotonic", lambda: seconds)
    key, text = make(organization)
    assert key_authentication.recognize(None) is None
    assert key_authentication.recognize(f"Bearer {text}").api_key_id == key.pk  # type: ignore[union-attr]
    ApiKey._base_manager.update(revoked_at=timezone.now())
    seconds += 1
    with django_assert_num_queries(0):
        assert key_authentication.recognize(f"Bearer {text}").api_key_id == key.pk  # type: ignore[union-attr]
    assert key_authentication.authenticate(f"Bearer {text}") is None


def test_caller_is_cached_as_long_as_its_organization_s_epoch(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    seconds = 100.0
    monkeypatch.setattr("aiinfra.timed_cache.time.monotonic", lambda: seconds)
    _, text = make(organization)

    def ask(epoch: str) -> None:
        with epochs.request():
            epochs.learn(organization.pk, ["installation", epoch])
            assert key_authentication.authenticate(f"Bearer {text}")

    ask("first")
    seconds += 1
    with django_assert_num_queries(0):
        ask("first")
    with django_assert_num_queries(1):
        ask("second")


def test_cache_is_cleared_when_it_is_full(organization: Organization) -> None:
    kept = key_authentication._remembered._kept
    for number in range(key_authentication.REMEMBERED_MAX - 1):
        kept[str(number).encode()] = None  # type: ignore[assignment]
    for count in (key_authentication.REMEMBERED_MAX, 1):
        assert key_authentication.authenticate(f"Bearer {make(organization)[1]}")
        assert len(kept) == count


@pytest.mark.parametrize(
    ("role", "works"), [(Role.OPERATOR, False), (Role.FINANCE, False), (Role.ADMIN, True), (Role.OWNER, True)]
)
def test_key_works_only_while_its_creator_can_manage_keys(
    organization: Organization, admin: User, role: Role, works: bool
) -> None:
    _, text = make(organization, Role.VIEWER, created_by=admin)
    Membership.objects.filter(user=admin).update(role=role.value)
    assert (authenticated(text) is not None) is works


def test_key_works_only_while_its_creator_has_its_role(organization: Organization, owner: User) -> None:
    _, text = make(organization, Role.OWNER, created_by=owner)
    assert authenticated(text)
    Membership.objects.filter(user=owner).update(role=Role.ADMIN.value)
    assert authenticated(text) is None


def test_creator_s_roles_elsewhere_and_roles_of_others_do_not_count(
    organization: Organization, other_organization: Organization, admin: User, stranger: User
) -> None:
    _, text = make(organization, created_by=admin)
    Membership.objects.filter(user=admin).update(role=Role.VIEWER.value)
    for joined, user in ((other_organization, admin), (organization, stranger)):
        Membership.objects.create(organization=joined, user=user, role=Role.OWNER.value)
    assert authenticated(text) is None
    Membership.objects.filter(user=admin, organization=organization).update(role=Role.ADMIN.value)
    Membership.objects.exclude(user=admin, organization=organization).update(role=Role.VIEWER.value)
    assert authenticated(text)


def test_background_work_has_the_newest_valid_key_of_a_rotation(organization: Organization, admin: User) -> None:
    first, _ = make(organization, scopes=["queue:read"], created_by=admin)
    make(organization)
    with organization_scope(organization.pk):
        second, _ = keys.rotate_key(key=first, overlap=HOUR, actor="user:owner")

        def caller() -> int | None:
            principal = key_authentication.principal_of_key(first.pk)
            return principal.api_key_id if principal else None

        assert caller() == second.pk
        assert key_authentication.principal_of_key(first.pk).scopes == {"queue:read"}  # type: ignore[union-attr]
        keys.revoke_key(key=second, actor="user:owner")
        assert caller() == first.pk
        User.objects.filter(pk=admin.pk).update(is_active=False)
        assert caller() is None
        User.objects.filter(pk=admin.pk).update(is_active=True)
        keys.revoke_key(key=first, actor="user:owner")
        assert caller() is None
