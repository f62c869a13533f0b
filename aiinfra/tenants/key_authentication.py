"""Find the caller behind an API key."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from aiinfra import epochs
from aiinfra.failures import DATABASE_AWAY
from aiinfra.tenants import audit, peppers
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.key_text import Credential, parse
from aiinfra.tenants.keys import could_make, is_usable, line_of
from aiinfra.tenants.models import ApiKey, Membership
from aiinfra.tenants.scope import system_scope
from aiinfra.timed_cache import TimedCache

LAST_USED_STEP = timedelta(minutes=1)
REMEMBERED_S = 0.5
"""Without an epoch: every process refuses a revoked key within a second, without any messages between processes."""
REMEMBERED_MAX = 1000


def recognize(header_value: object) -> Principal | None:
    """The caller from this process's cache, or else from `authenticate`, for code that runs before the request knows
    its epoch. The caller may have lost rights since; `authenticate` checks.
    """
    credential = parse(header_value)
    known = _remembered.find(credential.digest) if credential else None
    return known.principal if known else authenticate(header_value)


def authenticate(header_value: object) -> Principal | None:
    """The caller behind an `Authorization` header, or None. Never raises, whatever the header contains.

    A malformed or mistyped key costs no query. Others cost one, unless this process remembers it: within an epoch, or
    for half a second (see `aiinfra.timed_cache`). Adds an UPDATE of `last_used_at` at most once per minute and key, and
    one after the pepper has changed.
    """
    credential = parse(header_value)
    if credential is None:
        return None
    known = _remembered.of(credential.digest, lambda: _look_up(credential))
    return known.principal if known and not known.is_expired() else None


@dataclass(frozen=True)
class _Known:
    """The owner of a key that was valid when it was looked up."""

    principal: Principal
    expires_at: datetime | None

    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


_remembered: TimedCache[bytes, _Known | None] = TimedCache(
    seconds=REMEMBERED_S,
    owner=lambda _digest, known: known.principal.organization_id if known else epochs.INSTALLATION,
    keys_max=REMEMBERED_MAX,
    keeps_empty=False,  # whoever tries many wrong keys would push out those that are in use
)


def _look_up(credential: Credential) -> _Known | None:
    """An unknown id costs the same comparison as a known one."""
    with system_scope():
        key = _with_creators(ApiKey.objects.all()).filter(key_id=credential.key_id).first()
    is_right = peppers.verifies(key, credential.secret)
    if key is None or not is_right or not _may_be_used(key):
        return None
    peppers.renew(key, credential.secret)
    _note_use(key)
    return _Known(_principal_of(key), key.expires_at)


def principal_of_key(row_id: int) -> Principal | None:
    """The caller in the scope for whom a key's background work is done: the key, or the one that rotation put in its
    place. None if neither is valid.
    """
    line = _with_creators(line_of(row_id)).order_by("-pk")
    return next((_principal_of(key) for key in line if _may_be_used(key)), None)


def _with_creators(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    membership = Membership.objects.filter(organization=OuterRef("organization"), user=OuterRef("created_by"))
    related = keys.select_related("organization", "created_by")
    return related.annotate(creator_role=Subquery(membership.values("role")[:1]))


def _may_be_used(key: ApiKey) -> bool:
    return is_usable(key) and _creator_may_hold(key, key.creator_role)  # type: ignore[attr-defined]  # annotated


def _principal_of(key: ApiKey) -> Principal:
    return Principal(
        organization_id=key.organization_id,
        organization_slug=key.organization.slug,
        role=Role(key.role),
        actor=audit.key_actor(key),
        api_key_id=key.pk,
        scopes=frozenset(key.scopes),
        limits=key.limits,
    )


def _creator_may_hold(key: ApiKey, creator_role: str | None) -> bool:
    """Whether the person who created the key is still active and still has its rights; always for keys of commands."""
    if key.created_by is None:
        return True
    if creator_role is None or not key.created_by.is_active:
        return False
    return could_make(Role(creator_role), key)


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is not None and key.last_used_at > now - LAST_USED_STEP:
        return
    with suppress(*DATABASE_AWAY), system_scope():  # a database that takes no writes can still be read
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
