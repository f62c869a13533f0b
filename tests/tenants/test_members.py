import pytest

from aiinfra.tenants import invitations, keys, members
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.members import MemberError
from aiinfra.tenants.models import ApiKey, AuditEvent, Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user)


def usable_keys() -> set[str]:
    with system_scope():
        return {key.name for key in ApiKey.objects.filter(revoked_at=None)}


def verbs(organization: Organization) -> list[str]:
    with organization_scope(organization.pk):
        return list(AuditEvent.objects.order_by("at").values_list("verb", flat=True))


def test_role_change_is_recorded(organization: Organization, owner: User, viewer: User) -> None:
    assert members.change_role(membership=membership(viewer), role=Role.FINANCE, by=owner, actor="user:owner")
    assert not members.change_role(membership=membership(viewer), role=Role.FINANCE, by=owner, actor="user:owner")
    assert membership(viewer).role == "finance"
    assert verbs(organization) == ["member.role_changed"]


@pytest.mark.parametrize(("role", "refused"), [(Role.OWNER, True), (Role.ADMIN, False)])
def test_members_cannot_grant_a_role_above_their_own(admin: User, viewer: User, role: Role, refused: bool) -> None:
    if not refused:
        assert members.change_role(membership=membership(viewer), role=role, by=admin, actor="user:admin")
        return
    with pytest.raises(MemberError, match="can't grant"):
        members.change_role(membership=membership(viewer), role=role, by=admin, actor="user:admin")


def test_members_cannot_demote_or_remove_members_above_them(owner: User, admin: User) -> None:
    with pytest.raises(MemberError):
        members.change_role(membership=membership(owner), role=Role.VIEWER, by=admin, actor="user:admin")
    with pytest.raises(MemberError):
        members.remove_member(membership=membership(owner), by=admin, actor="user:admin")


def test_last_owner_cannot_be_demoted_or_removed(organization: Organization, owner: User, viewer: User) -> None:
    with pytest.raises(MemberError, match="at least one owner"):
        members.change_role(membership=membership(owner), role=Role.ADMIN, by=owner, actor="user:owner")
    with pytest.raises(MemberError, match="at least one owner"):
        members.remove_member(membership=membership(owner), by=owner, actor="user:owner")
    members.change_role(membership=membership(viewer), role=Role.OWNER, by=owner, actor="user:owner")
    members.remove_member(membership=membership(owner), by=owner, actor="user:owner")
    assert not Membership.objects.filter(user=owner).exists()


def test_non_member_cannot_change_members(viewer: User, stranger: User) -> None:
    with pytest.raises(MemberError, match="not a member"):
        members.change_role(membership=membership(viewer), role=Role.VIEWER, by=stranger, actor="user:stranger")


def test_demoted_member_loses_keys_beyond_their_new_role(organization: Organization, owner: User, admin: User) -> None:
    owner_two = membership(admin)
    members.change_role(membership=owner_two, role=Role.OWNER, by=owner, actor="user:owner")
    for name, role in (("high", Role.OWNER), ("low", Role.VIEWER)):
        keys.create_key(organization=organization, name=name, role=role, created_by=admin, actor="user:admin")
    keys.create_key(organization=organization, name="other's", role=Role.OWNER, created_by=owner, actor="user:owner")
    members.change_role(membership=owner_two, role=Role.ADMIN, by=owner, actor="user:owner")
    assert usable_keys() == {"low", "other's"}
    members.change_role(membership=owner_two, role=Role.OPERATOR, by=owner, actor="user:owner")
    assert usable_keys() == {"other's"}


def test_removed_member_loses_keys_and_invitations(organization: Organization, owner: User, admin: User) -> None:
    keys.create_key(organization=organization, name="bot", role=Role.VIEWER, created_by=admin, actor="user:admin")
    invitations.invite(organization=organization, email="a@b.co", role=Role.VIEWER, by=admin, actor="user:admin")
    members.remove_member(membership=membership(admin), by=owner, actor="user:owner")
    assert usable_keys() == set()
    with system_scope():
        assert not Invitation.objects.exists()
    assert verbs(organization) == ["api_key.created", "member.invited", "api_key.revoked", "member.removed"]


def test_member_is_added_once(organization: Organization, stranger: User) -> None:
    members.add_member(organization=organization, user=stranger, role=Role.VIEWER, actor="user:owner")
    with pytest.raises(MemberError, match="already"):
        members.add_member(organization=organization, user=stranger, role=Role.ADMIN, actor="user:owner")
