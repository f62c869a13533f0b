"""An organization's cache settings, with defaults."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from aiinfra.tenants import audit
from aiinfra.timed_cache import TimedCache
from cache_app.models import CachePolicy


def policy_of(organization_id: int) -> CachePolicy:
    """The organization's policy; an unsaved one with the defaults if it has none. Remembered within an epoch."""
    return _policies.of(organization_id)


def _read(organization_id: int) -> CachePolicy:
    policy = CachePolicy.objects.filter(organization_id=organization_id).first()
    return policy or CachePolicy(organization_id=organization_id)


_policies = TimedCache(_read, seconds=1, owner=lambda organization_id, _: organization_id)
"""Every lookup needs the policy. Without an epoch, a change takes effect within this time."""
forget_policies = _policies.forget


@transaction.atomic
def change_policy(*, organization_id: int, changes: Mapping[str, Any], actor: str) -> CachePolicy:
    """Set columns of the organization's policy, and record the changed ones in the audit log."""
    CachePolicy.objects.get_or_create(organization_id=organization_id)
    policy = CachePolicy.objects.select_for_update().get(organization_id=organization_id)
    audit.change_columns(policy, changes, actor=actor, verb="cache_policy.changed", target="cache settings")
    return policy
