"""The people of an organization: their roles, and leaving."""

from django.db import transaction

from aiinfra.tenants import audit, keys
from aiinfra.tenants.authorization import Role, may_grant, role_allows
from aiinfra.tenants.models import ApiKey, Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope


class MemberError(ValueError):
    """A change of members that is refused; its text is for the person who tried."""


def role_of(user: User, organization: Organization) -> Role:
    """The person's role. Raises MemberError for somebody who is not a member."""
    membership = Membership.objects.filter(user=user, organization=organization).first()
    if membership is None:
        raise MemberError("You are not a member of this organization.")
    return Role(membership.role)


def account_of(email: str) -> User | None:
    """The account that an address has already."""
    return User.objects.filter(username__iexact=email).first() or User.objects.filter(email__iexact=email).first()


def check_may_grant(by: User, organization: Organization, role: Role) -> None:
    """Raise MemberError where the role is above the person's own."""
    if not may_grant(role_of(by, organization), role):
        raise MemberError(f"Your own role does not reach as far as {role.value}.")


@transaction.atomic
def add_member(*, organization: Organization, user: User, role: Role, actor: str) -> Membership:
    """Make a person a member. Raises MemberError if he is one."""
    membership, is_new = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": role.value}
    )
    if not is_new:
        raise MemberError("This person is a member already.")
    audit.record(
        organization_id=organization.pk,
        actor=actor,
        verb="member.added",
        target=user.get_username(),
        changes={"role": [None, role.value]},
    )
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: Role, by: User, actor: str, seen: str = "") -> bool:
    """Give a member another role; False for the role that the member has. What they made beyond their new rights ends.

    `seen` is the role that the caller saw before. Raises MemberError where it is another one now, for a role above that
    of `by`, old or new, and for the last owner.
    """
    member = _locked(membership)
    if seen and seen != member.role:
        raise MemberError(f"The role of {member.user} was changed to {member.role} after you opened this page.")
    check_may_grant(by, member.organization, Role(member.role))
    check_may_grant(by, member.organization, role)
    if member.role == role.value:
        return False
    if role is not Role.OWNER:
        _check_not_last_owner(member)
    before, member.role = member.role, role.value
    member.save(update_fields=["role"])
    _end_powers(member, role, actor)
    audit.record(
        organization_id=member.organization_id,
        actor=actor,
        verb="member.role_changed",
        target=member.user.get_username(),
        changes={"role": [before, role.value]},
    )
    return True


@transaction.atomic
def remove_member(*, membership: Membership, by: User, actor: str) -> None:
    """End a membership with the keys and invitations that he made; from his next request on he is a stranger.

    Raises MemberError for a member above `by` and for the last owner.
    """
    member = _locked(membership)
    check_may_grant(by, member.organization, Role(member.role))
    _check_not_last_owner(member)
    _end_powers(member, None, actor)
    member.delete()
    audit.record(
        organization_id=membership.organization_id,
        actor=actor,
        verb="member.removed",
        target=member.user.get_username(),
        changes={"role": [member.role, None]},
    )


def _locked(membership: Membership) -> Membership:
    """The row as it is now. The owners' rows are locked too, so that two who demote each other come in turn."""
    list(
        Membership.objects.select_for_update()
        .filter(organization_id=membership.organization_id, role=Role.OWNER)
        .order_by("id")
    )
    rows = Membership.objects.select_for_update(of=("self",)).select_related("organization", "user")
    found = rows.filter(pk=membership.pk).first()
    if found is None:
        raise MemberError("This person is not a member any more.")
    return found


def _check_not_last_owner(member: Membership) -> None:
    others = Membership.objects.filter(organization_id=member.organization_id, role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise MemberError("An organization keeps at least one owner.")


def _end_powers(member: Membership, role: Role | None, actor: str) -> None:
    """Revoke the keys and withdraw the invitations that the member could not make in his new role (None: he leaves)."""
    with organization_scope(member.organization_id):
        for key in ApiKey.objects.filter(created_by=member.user, revoked_at=None):
            if role is None or not keys.could_make(role, key):
                keys.revoke_key(key=key, actor=actor)
        for invitation in Invitation.objects.filter(invited_by=member.user, accepted_at=None):
            if role is None or not _could_invite(role, Role(invitation.role)):
                invitation.delete()


def _could_invite(role: Role, invited: Role) -> bool:
    return role_allows(role, "member:manage") and may_grant(role, invited)


@transaction.atomic
def change_password(user: User, password: str) -> None:
    """Give somebody another password; each of his organizations sees in its audit log that, not what."""
    user.set_password(password)
    user.save(update_fields=["password"])
    for membership in Membership.objects.filter(user=user):
        audit.record(
            organization_id=membership.organization_id,
            actor=audit.user_actor(user),
            verb="member.password_changed",
            target=user.get_username(),
        )
