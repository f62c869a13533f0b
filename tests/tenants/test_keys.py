from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from aiinfra import timed_cache
from aiinfra.tenants import key_authentication, key_text, keys
from aiinfra.tenants.authorization import Role, scopes_of
from aiinfra.tenants.models import ApiKey, AuditEvent, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.tenants.made_keys import make, stored

WELL_FORMED = 52 + len(key_text.SCHEME)


def test_key_resolves_its_organization_role_and_scopes(organization: Organization) -> None:
    key, text = make(organization, scopes=["queue:read"])
    principal = key_authentication.authenticate(f"Bearer {text}")
    assert principal is not None
    assert (principal.organization_id, principal.organization_slug) == (organization.pk, "north")
    assert (principal.role, principal.scopes) == (Role.OPERATOR, {"queue:read"})
    assert (principal.api_key_id, principal.actor) == (key.pk, f"key:{key.key_id}")
    assert principal.can("queue:read")
    assert not principal.can("queue:write")


def test_key_without_scopes_has_all_scopes_of_its_role(organization: Organization) -> None:
    key, _ = make(organization, Role.FINANCE)
    assert key.scopes == scopes_of(Role.FINANCE)


@pytest.mark.parametrize("scope", ["queue:write", "member:manage", "no:such"])
def test_scope_outside_the_role_is_rejected_by_name(organization: Organization, scope: str) -> None:
    with pytest.raises(ValueError, match=scope):
        make(organization, Role.VIEWER, scopes=[scope])


def test_members_cannot_create_a_key_with_a_higher_role(
    organization: Organization, admin: User, viewer: User, stranger: User
) -> None:
    for creator, role in ((admin, Role.OWNER), (viewer, Role.OPERATOR), (stranger, Role.VIEWER)):
        with pytest.raises(keys.PermissionExceededError):
            make(organization, role, created_by=creator)
    make(organization, Role.ADMIN, created_by=admin)


def test_database_contains_no_usable_key(organization: Organization) -> None:
    key, text = make(organization)
    secret = text.split("_")[2]
    values = [str(value) for value in ApiKey._base_manager.values_list().get(pk=key.pk)]
    assert not any(secret in value for value in values)
    assert key_authentication.authenticate(f"Bearer aik_{key.key_id}_{key.secret_digest[:32]}_000000") is None
    body = f"aik_{key.key_id}_{key.secret_digest[:32]}"
    assert key_authentication.authenticate(f"Bearer {body}_{key_text.checksum(body)}") is None


def header_of(key_id: str, secret: str) -> str:
    """A well-formed header with a valid checksum."""
    body = f"aik_{key_id}_{secret}"
    return f"Bearer {body}_{key_text.checksum(body)}"


def test_secrets_and_ids_of_different_keys_cannot_be_combined(organization: Organization) -> None:
    """Valid keys authenticate first, so that their cached results could let a combination in."""
    one, first = make(organization)
    two, second = make(organization)
    for key, text in ((one, first), (two, second)):
        assert key_authentication.authenticate(f"Bearer {text}").api_key_id == key.pk  # type: ignore[union-attr]
    first_secret, second_secret = first.split("_")[2], second.split("_")[2]
    assert key_authentication.authenticate(header_of(one.key_id, second_secret)) is None
    assert key_authentication.authenticate(header_of(two.key_id, first_secret)) is None
    near = one.key_id[:7] + ("a" if one.key_id[7] != "a" else "b")
    ApiKey._base_manager.filter(pk=two.pk).update(key_id=near)
    timed_cache.clear_all()
    assert key_authentication.authenticate(f"Bearer {first}").api_key_id == one.pk  # type: ignore[union-attr]
    assert key_authentication.authenticate(header_of(near, second_secret)).api_key_id == two.pk  # type: ignore[union-attr]
    assert key_authentication.authenticate(header_of(near, first_secret)) is None


@pytest.mark.parametrize("place", [0, 15, 31])
def test_wrong_secret_is_rejected_despite_the_cache(organization: Organization, place: int) -> None:
    key, text = make(organization)
    secret = text.split("_")[2]
    other = "a" if secret[place] != "a" else "b"
    assert key_authentication.authenticate(f"Bearer {text}")
    assert key_authentication.authenticate(header_of(key.key_id, secret[:place] + other + secret[place + 1 :])) is None
    assert key_authentication.authenticate(header_of(key.key_id, "0" * 32)) is None
    assert key_authentication.authenticate(f"Bearer {text}")


def test_well_formed_key_takes_one_query_whether_known_or_unknown(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _, text = make(organization)
    key_authentication.authenticate(f"Bearer {text}")
    timed_cache.clear_all()
    with django_assert_num_queries(1):
        assert key_authentication.authenticate(f"Bearer {text}")
    with django_assert_num_queries(0):
        assert key_authentication.authenticate(f"bearer {text}")
    unknown = f"aik_{'0' * 8}_{'0' * 32}"
    with django_assert_num_queries(1):
        assert key_authentication.authenticate(f"Bearer {unknown}_{key_text.checksum(unknown)}") is None


@given(st.integers(0, 51), st.sampled_from(key_text.BASE62))
def test_a_mistyped_character_is_found_without_a_query(place: int, character: str) -> None:
    body = f"aik_{'Ab3dE6gH'}_{'x1' * 16}"
    text = f"{body}_{key_text.checksum(body)}"
    assert key_text.parse(f"Bearer {text}") is not None
    wrong = text[:place] + character + text[place + 1 :]
    assert wrong == text or key_authentication.authenticate(f"Bearer {wrong}") is None


@pytest.mark.parametrize("header", ["Bearer  {}", "bearer {} ", "BEARER   {}  "])
def test_whitespace_and_scheme_case_are_ignored(header: str) -> None:
    body = f"aik_{'Ab3dE6gH'}_{'x1' * 16}"
    text = f"{body}_{key_text.checksum(body)}"
    assert key_text.parse(header.format(text)) is not None
    assert key_text.parse(header.format(text)) == key_text.parse(f"Bearer {text}")


@given(st.one_of(st.text(), st.text(min_size=WELL_FORMED, max_size=WELL_FORMED), st.binary(), st.none()))
def test_malformed_headers_do_not_raise(header: object) -> None:
    assert key_authentication.authenticate(header) is None
    assert key_authentication.authenticate(f"Bearer {header}") is None


@pytest.mark.parametrize(
    "header",
    [
        "\0" * WELL_FORMED,
        "Bearer " + "x" * 1_000_000,
        "Bearer aik_' OR 1=1 --",
        "Bearer aik_00000000_00000000000000000000000000000000_00000٣",
        "Bearer aik_00000000_00000000000000000000000000000000_0000\r\n",
        "Basic dXNlcjpwYXNzd29yZA==",
        "\ud800" * WELL_FORMED,
    ],
)
def test_malicious_headers_do_not_authenticate(header: str) -> None:
    assert key_authentication.authenticate(header) is None


@pytest.mark.parametrize("scheme", ["Basic  ", "Bearer_", "Bearer", "Token: "])
def test_valid_key_with_another_scheme_does_not_authenticate(organization: Organization, scheme: str) -> None:
    _, text = make(organization)
    assert key_authentication.authenticate(f"{scheme}{text}") is None
    assert key_authentication.authenticate(f"bEARER {text}")


def test_revoked_and_expired_keys_do_not_authenticate(organization: Organization) -> None:
    key, text = make(organization)
    _, expired = make(organization, expires_at=timezone.now())
    assert key_authentication.authenticate(f"Bearer {expired}") is None
    with organization_scope(organization.pk):
        assert keys.revoke_key(key=key, actor="user:owner")
        assert not keys.revoke_key(key=key, actor="user:owner")
    assert key_authentication.authenticate(f"Bearer {text}") is None


def test_last_use_is_recorded_at_most_once_per_minute(organization: Organization) -> None:
    key, text = make(organization)
    key_authentication.authenticate(f"Bearer {text}")
    first = stored(key).last_used_at
    timed_cache.clear_all()
    key_authentication.authenticate(f"Bearer {text}")
    assert first is not None
    assert stored(key).last_used_at == first
    ApiKey._base_manager.update(last_used_at=first - timedelta(minutes=2))
    timed_cache.clear_all()
    key_authentication.authenticate(f"Bearer {text}")
    assert stored(key).last_used_at > first - timedelta(minutes=1)  # type: ignore[operator]


def test_changing_or_using_one_key_does_not_affect_others(organization: Organization) -> None:
    rotated, _ = make(organization)
    revoked, _ = make(organization)
    used, text = make(organization)
    _, other_text = make(organization)
    others = ApiKey._base_manager.exclude(pk__in=[rotated.pk, revoked.pk, used.pk])
    before = list(others.values())
    with organization_scope(organization.pk):
        new, _ = keys.rotate_key(key=rotated, overlap=timedelta(0), actor="user:owner")
        keys.revoke_key(key=revoked, actor="user:owner")
    assert key_authentication.authenticate(f"Bearer {text}")
    assert list(others.exclude(pk=new.pk).values()) == before
    assert key_authentication.authenticate(f"Bearer {other_text}")
    assert stored(used).revoked_at is None


def test_wrong_keys_are_not_cached(organization: Organization) -> None:
    """Otherwise many guesses could evict the keys in use."""
    key, text = make(organization)
    assert key_authentication.authenticate(header_of(key.key_id, "0" * 32)) is None
    assert len(key_authentication._remembered._kept) == 0
    assert key_authentication.authenticate(f"Bearer {text}")
    assert len(key_authentication._remembered._kept) == 1


@pytest.mark.parametrize(
    ("creator", "role", "scopes", "can"),
    [
        (Role.OWNER, Role.OWNER, ["member:manage"], True),
        (Role.ADMIN, Role.OWNER, [], False),
        (Role.ADMIN, Role.VIEWER, ["queue:read"], True),
        (Role.VIEWER, Role.VIEWER, ["queue:read"], True),
        (Role.VIEWER, Role.VIEWER, ["queue:read", "queue:write"], False),
        (Role.VIEWER, Role.OPERATOR, ["queue:read"], False),
    ],
)
def test_key_never_exceeds_its_creators_rights(creator: Role, role: Role, scopes: list[str], can: bool) -> None:
    assert keys.can_make(creator, role, scopes) is can


def test_every_change_writes_an_audit_event_without_the_secret(organization: Organization) -> None:
    key, text = make(organization)
    with organization_scope(organization.pk):
        new, new_text = keys.rotate_key(key=key, overlap=timedelta(0), actor="user:owner")
        keys.revoke_key(key=new, actor="user:owner")
        rows = list(AuditEvent.objects.order_by("at"))
    assert [row.verb for row in rows] == ["api_key.created", "api_key.rotated", "api_key.revoked"]
    secrets = [each.split("_")[2] for each in (text, new_text)]
    assert not any(secret in f"{row.target}{row.changes}" for secret in secrets for row in rows)


def test_key_of_another_organization_cannot_be_revoked(
    organization: Organization, other_organization: Organization
) -> None:
    key, text = make(organization)
    with organization_scope(other_organization.pk):
        assert not keys.revoke_key(key=key, actor="user:stranger")
    assert key_authentication.authenticate(f"Bearer {text}")


def test_key_without_an_epoch_is_cached_for_half_a_second_and_never_past_its_expiry(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, now = 100.0, timezone.now()
    monkeypatch.setattr("aiinfra.timed_cache.time.monotonic", lambda: seconds)
    monkeypatch.setattr(timezone, "now", lambda: now)
    _, text = make(organization, expires_at=now + timedelta(minutes=1))
    assert key_authentication.authenticate(f"Bearer {text}")
    ApiKey._base_manager.update(role=Role.VIEWER.value)
    seconds += 0.49
    assert key_authentication.authenticate(f"Bearer {text}").role is not Role.VIEWER  # type: ignore[union-attr]
    now += timedelta(minutes=1)
    assert key_authentication.authenticate(f"Bearer {text}") is None
    now -= timedelta(minutes=1)
    seconds += 0.02
    assert key_authentication.authenticate(f"Bearer {text}").role is Role.VIEWER  # type: ignore[union-attr]


def test_key_works_only_while_its_creator_is_an_active_member(organization: Organization, admin: User) -> None:
    """However the creator lost their rights: the admin site changes rows without revoking keys."""
    _, text = make(organization, Role.OPERATOR, created_by=admin)
    membership = Membership.objects.filter(user=admin, organization=organization)

    def works() -> bool:
        timed_cache.clear_all()
        return key_authentication.authenticate(f"Bearer {text}") is not None

    assert works()
    for role in (Role.VIEWER, Role.FINANCE):
        membership.update(role=role.value)
        assert not works()
    membership.update(role=Role.OWNER.value)
    assert works()
    User.objects.filter(pk=admin.pk).update(is_active=False)
    assert not works()
    User.objects.filter(pk=admin.pk).update(is_active=True)
    membership.delete()
    assert not works()


def test_key_created_by_a_command_does_not_depend_on_a_member(organization: Organization) -> None:
    _, text = make(organization, Role.OWNER)
    assert key_authentication.authenticate(f"Bearer {text}") is not None
