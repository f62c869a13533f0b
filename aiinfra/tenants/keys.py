"""Create, change, rotate and revoke API keys.

The secret of a key is stored as an HMAC-SHA256 whose pepper is not in the database.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet, Subquery
from django.utils import timezone

from aiinfra.names import check_visible
from aiinfra.tenants import audit, key_text, peppers
from aiinfra.tenants.authorization import PERMISSIONS, Role, may_grant, role_allows, scopes_of
from aiinfra.tenants.key_limits import NO_LIMITS, KeyLimits, limit_changes
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope

ROTATION_OVERLAP_MAX = timedelta(hours=24)


class PermissionExceededError(PermissionError):
    """The requested key would have more permissions than the person who creates it."""


@transaction.atomic
def create_key(
    *,
    organization: Organization,
    name: str,
    role: Role,
    scopes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    created_by: User | None = None,
    limits: KeyLimits = NO_LIMITS,
    actor: str,
) -> tuple[ApiKey, str]:
    """Create a key; returns it with its text, which is shown only once. Without `scopes` it gets all scopes of the
    role.

    Raises ValueError naming a scope that the role does not have or an invisible character in the name, and
    PermissionExceededError if the key would exceed the permissions of `created_by`; None stands for the operator of the
    machine, who may do everything.
    """
    check_visible(name)
    granted = _checked_scopes(role, scopes)
    if created_by is not None:
        _check_not_above(created_by, organization, role, granted)
    key, text = _insert(organization, name, role, granted, expires_at, created_by, limits)
    audit.record(
        organization_id=organization.pk,
        actor=actor,
        verb="api_key.created",
        target=str(key),
        changes={"role": [None, role.value], "scopes": [None, granted], **limit_changes(NO_LIMITS, limits)},
    )
    return key, text


@transaction.atomic
def rotate_key(*, key: ApiKey, overlap: timedelta, rotated_by: User | None = None, actor: str) -> tuple[ApiKey, str]:
    """Replace a key by one with the same permissions and the same secret for webhooks; returns the new key and its
    text. The old key works for `overlap` (0 to 24 hours).

    Raises ValueError for another overlap and for a key that is revoked, expired or already replaced, and
    PermissionExceededError for a key that `rotated_by`, who sees the new text, could not create.
    """
    if not timedelta(0) <= overlap <= ROTATION_OVERLAP_MAX:
        raise ValueError("The overlap must be 0 to 24 hours.")
    old = ApiKey.objects.select_for_update(of=("self",)).select_related("organization", "created_by").get(pk=key.pk)
    if not is_usable(old) or old.replaced_by_id:
        raise ValueError("Only an active key can be rotated.")
    if rotated_by is not None:
        _check_not_above(rotated_by, old.organization, Role(old.role), old.scopes)
    owner = rotated_by or old.created_by
    new, text = _insert(old.organization, old.name, Role(old.role), old.scopes, old.expires_at, owner, old.limits)
    overlap_end = timezone.now() + overlap
    end = min(overlap_end, old.expires_at or overlap_end)
    line = old.line or old.key_id
    ApiKey.objects.filter(pk=old.pk).update(expires_at=end, replaced_by=new, line=line)
    ApiKey.objects.filter(pk=new.pk).update(line=line, webhook_secret=old.webhook_secret)
    new.line = line
    audit.record(
        organization_id=old.organization_id,
        actor=actor,
        verb="api_key.rotated",
        target=str(old),
        changes={"replaced_by": [None, new.key_id], "expires_at": [_iso(old.expires_at), _iso(end)]},
    )
    return new, text


@transaction.atomic
def change_expiry(*, key: ApiKey, expires_at: datetime | None, by: Role, actor: str) -> bool:
    """Change when a key ends; None: never. It applies within a second. False if nothing changed.

    Raises ValueError for a past time and for a key that is revoked, expired or replaced, and PermissionExceededError
    for a key that a caller with the role `by` could not create.
    """
    stored = ApiKey.objects.select_for_update(of=("self",)).get(pk=key.pk)
    if not is_usable(stored) or stored.replaced_by_id:
        raise ValueError("Only an active key has an expiry that can be changed.")
    if expires_at is not None and expires_at <= timezone.now():
        raise ValueError("The expiry must be in the future; revoke the key to end it now.")
    if not can_make(by, Role(stored.role), stored.scopes):
        raise PermissionExceededError("A key with more permissions than yours can't be changed.")
    if stored.expires_at == expires_at:
        return False
    ApiKey.objects.filter(pk=stored.pk).update(expires_at=expires_at)
    audit.record(
        organization_id=stored.organization_id,
        actor=actor,
        verb="api_key.expiry_changed",
        target=str(stored),
        changes={"expires_at": [_iso(stored.expires_at), _iso(expires_at)]},
    )
    return True


def line_of(row_id: int) -> QuerySet[ApiKey]:
    """The keys that replaced each other by rotation, including this one; only itself if never rotated."""
    line = ApiKey.objects.filter(id=row_id).values("line")[:1]
    return ApiKey.objects.filter(Q(id=row_id) | Q(line=Subquery(line)))


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: str) -> bool:
    """Revoke a key; the next request of any process refuses it. False if it was already revoked."""
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        return False
    audit.record(organization_id=key.organization_id, actor=actor, verb="api_key.revoked", target=str(key))
    return True


def is_usable(key: ApiKey) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())


def can_make(creator: Role, role: Role, scopes: Iterable[str]) -> bool:
    """Whether a person with that role may hold this key's text."""
    return may_grant(creator, role) and all(role_allows(creator, scope) for scope in scopes)


def could_make(creator: Role, key: ApiKey) -> bool:
    """Whether a person with that role could create this key today."""
    return role_allows(creator, "key:manage") and can_make(creator, Role(key.role), key.scopes)


def _check_not_above(creator: User, organization: Organization, role: Role, scopes: list[str]) -> None:
    membership = Membership.objects.filter(organization=organization, user=creator).first()
    if membership is None or not can_make(Role(membership.role), role, scopes):
        raise PermissionExceededError("A key can't have more permissions than the person who creates it.")


def _checked_scopes(role: Role, scopes: Iterable[str] | None) -> list[str]:
    allowed = scopes_of(role)
    if scopes is None:
        return allowed
    wanted = sorted(set(scopes))
    for scope in wanted:
        if scope not in PERMISSIONS:
            raise ValueError(f"Unknown scope {scope}.")
        if scope not in allowed:
            raise ValueError(f"The role {role.value} does not have the scope {scope}.")
    return wanted


def _insert(
    organization: Organization,
    name: str,
    role: Role,
    scopes: list[str],
    expires_at: datetime | None,
    created_by: User | None,
    limits: KeyLimits,
) -> tuple[ApiKey, str]:
    key_id, secret, text = key_text.new()
    with organization_scope(organization.pk):
        key = ApiKey.objects.create(
            organization=organization,
            key_id=key_id,
            secret_digest=peppers.digest_of(secret),
            pepper_id=peppers.pepper_id(),
            name=name,
            role=role.value,
            scopes=scopes,
            expires_at=expires_at,
            created_by=created_by,
            requests_per_minute=limits.requests_per_minute,
            concurrent_requests=limits.concurrent_requests,
            tokens_per_minute=limits.tokens_per_minute,
            nano_per_minute=limits.nano_per_minute,
            allowed_networks=[str(each) for each in limits.networks],
            allowed_models=list(limits.access.models),
            allowed_doors=list(limits.access.doors),
            default_tags=list(limits.access.tags),
            default_priority=limits.access.priority,
            webhook=limits.access.webhook or None,
        )
    return key, text


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
