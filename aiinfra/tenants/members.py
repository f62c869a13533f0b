"""Members of an organization: adding and removing them, and their roles."""

from django.db import transaction

from aiinfra.tenants import audit, keys
from aiinfra.tenants.authorization import Role, may_grant, role_allows
from aiinfra.tenants.models import ApiKey, Invitation, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope


class MemberError(ValueError):
    """A change of members that isn't allowed; the text is shown to the user."""


def role_of(user: User, organization: Organization) -> Role:
    """The person's role. Raises MemberError for a non-member."""
    membership = Membership.objects.filter(user=user, organization=organization).first()
    if membership is None:
        raise MemberError("You are not a member of this organization.")
    return Role(membership.role)


def account_of(email: str) -> User | None:
    """The account of an address; None if there is none. A username comes before an email address, and an exact
    spelling before another one.
    """
    for match in ({"username": email}, {"username__iexact": email}, {"email__iexact": email}):
        if found := User.objects.filter(**match).order_by("pk").first():
            return found
    return None


def check_may_grant(by: User, organization: Organization, role: Role) -> None:
    """Raise MemberError if the role is above the person's own."""
    if not may_grant(role_of(by, organization), role):
        raise MemberError(f"Your role can't grant the role {role.value}.")


@transaction.atomic
def add_member(*, organization: Organization, user: User, role: Role, actor: str) -> Membership:
    """Add a person to an organization. Raises MemberError for an existing member."""
    membership, is_new = Membership.objects.get_or_create(
        organization=organization, user=user, defaults={"role": role.value}
    )
    if not is_new:
        raise MemberError("This person is already a member.")
    audit.record(
        organization_id=organization.pk,
        actor=actor,
        verb="member.added",
        target=user.get_username(),
        changes={"role": [None, role.value]},
    )
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: Role, by: User | None, actor: str, seen: str = "") -> bool:
    """Change a member's role; False if they already have it. Revokes the keys and invitations that exceed their new
    permissions.

    `by` is None if the organization's identity provider decides. `seen` is the role that the caller saw before. Raises
    MemberError if it has changed since, for a role above that of `by`, old or new, and for the last owner.
    """
    member = _locked(membership)
    if seen and seen != member.role:
        raise MemberError(f"The role of {member.user} was changed to {member.role} after you opened this page.")
    if by is not None:
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
def remove_member(*, membership: Membership, by: User | None, actor: str) -> None:
    """End a membership, and the keys and invitations that the member created; their next request is a stranger's.

    `by` is None if the organization's identity provider decides. Raises MemberError for a member above `by` and for the
    last owner.
    """
    member = _locked(membership)
    if by is not None:
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


def end_keys(membership: Membership, actor: str) -> None:
    """Revoke the keys and withdraw the invitations that the member created."""
    _end_powers(membership, None, actor)


def _locked(membership: Membership) -> Membership:
    """The current row, locked. The owners' rows are locked too, so that two owners who demote each other take turns."""
    list(
        Membership.objects.select_for_update()
        .filter(organization_id=membership.organization_id, role=Role.OWNER)
        .order_by("id")
    )
    rows = Membership.objects.select_for_update(of=("self",)).select_related("organization", "user")
    found = rows.filter(pk=membership.pk).first()
    if found is None:
        raise MemberError("This person is no longer a member.")
    return found


def _check_not_last_owner(member: Membership) -> None:
    others = Membership.objects.filter(organization_id=member.organization_id, role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not others.exists():
        raise MemberError("An organization needs at least one owner.")


def _end_powers(member: Membership, role: Role | None, actor: str) -> None:
    """Revoke the keys and withdraw the invitations that exceed the member's new role (None: they leave)."""
    with organization_scope(member.organization_id):
        for key in ApiKey.objects.filter(created_by=member.user, revoked_at=None):
            if role is None or not keys.could_make(role, key):
                keys.revoke_key(key=key, actor=actor)
        for invitation in Invitation.objects.filter(invited_by=member.user, accepted_at=None):
            if role is None or not could_invite(role, Role(invitation.role)):
                invitation.delete()


def could_invite(role: Role, invited: Role) -> bool:
    """Whether a person with the role could invite with the other role today."""
    return role_allows(role, "member:manage") and may_grant(role, invited)


@transaction.atomic
def change_password(user: User, password: str) -> None:
    """Change a password; the audit log of each of the user's organizations records that it changed, not what it is."""
    user.set_password(password)
    user.save(update_fields=["password"])
    for membership in Membership.objects.filter(user=user):
        audit.record(
            organization_id=membership.organization_id,
            actor=audit.user_actor(user),
            verb="member.password_changed",
            target=user.get_username(),
        )
