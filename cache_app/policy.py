"""An organization's rules for its cache, with the defaults where it set none."""

import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from aiinfra.tenants import audit
from cache_app.models import CachePolicy

REMEMBERED_S = 1.0
"""Each look-up needs the policy; a change takes hold within this time."""
_remembered: dict[int, tuple[float, CachePolicy]] = {}


def policy_of(organization_id: int) -> CachePolicy:
    """The organization's policy; an unsaved one with the defaults where it has none. Remembered for a second."""
    read_at, policy = _remembered.get(organization_id, (0.0, None))
    if policy is None or time.monotonic() - read_at > REMEMBERED_S:
        policy = CachePolicy.objects.filter(organization_id=organization_id).first()
        policy = policy or CachePolicy(organization_id=organization_id)
        _remembered[organization_id] = (time.monotonic(), policy)
    return policy


def forget_policies() -> None:
    """Read the policies anew from here on."""
    _remembered.clear()


@transaction.atomic
def change_policy(*, organization_id: int, changes: Mapping[str, Any], actor: str) -> CachePolicy:
    """Set columns of the organization's policy, and note in the audit log which of them changed."""
    CachePolicy.objects.get_or_create(organization_id=organization_id)
    policy = CachePolicy.objects.select_for_update().get(organization_id=organization_id)
    audit.change_columns(policy, changes, actor=actor, verb="cache_policy.changed", target="rules for the cache")
    transaction.on_commit(forget_policies)
    return policy
