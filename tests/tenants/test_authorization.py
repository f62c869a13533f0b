import pytest

from aiinfra.tenants.authorization import PERMISSIONS, RANK, Principal, Role, may_grant, role_allows, scopes_of


def test_owner_has_every_permission() -> None:
    assert all(role_allows(Role.OWNER, name) for name in PERMISSIONS)


def test_unknown_permission_raises() -> None:
    with pytest.raises(KeyError):
        role_allows(Role.OWNER, "no:such")


def test_key_permissions_are_limited_by_role_and_scopes() -> None:
    scopes = frozenset({"queue:read", "queue:write", "member:read"})
    key = Principal(1, "north", Role.VIEWER, "key:Ab3dE6gH", api_key_id=1, scopes=scopes)
    assert [name for name in PERMISSIONS if key.can(name)] == ["queue:read"]


def test_no_key_can_manage_keys_members_or_the_organization() -> None:
    for role in Role:
        assert not {"key:manage", "member:manage", "organization:write"} & set(scopes_of(role))


def test_members_cannot_grant_a_higher_role() -> None:
    assert set(RANK) == set(Role)
    assert [role for role in Role if may_grant(Role.ADMIN, role)] == [role for role in Role if role is not Role.OWNER]
    assert all(may_grant(Role.OWNER, role) for role in Role)
