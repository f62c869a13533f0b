"""An organization's spend policy, with defaults."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.timed_cache import TimedCache
from cost_app.models import CostPolicy


def policy_of(organization_id: int) -> CostPolicy:
    """The organization's policy; an unsaved one with the defaults if it has none."""
    policy = CostPolicy.objects.filter(organization_id=organization_id).first()
    return policy or CostPolicy(organization_id=organization_id)


def policy_in_force(organization_id: int) -> CostPolicy:
    """Like `policy_of`, for what every call asks: remembered within an epoch. Do not change the returned row."""
    return _policies.of(organization_id)


_policies = TimedCache(policy_of, seconds=0, owner=lambda organization_id, _: organization_id)


def zone_of(organization_id: int) -> ZoneInfo:
    """The organization's time zone. Raises Organization.DoesNotExist."""
    return ZoneInfo(Organization.objects.values_list("time_zone", flat=True).get(id=organization_id))


@transaction.atomic
def change_policy(*, organization_id: int, changes: Mapping[str, Any], actor: str) -> CostPolicy:
    """Set columns of the organization's policy, and record the changes in the audit log."""
    CostPolicy.objects.get_or_create(organization_id=organization_id)
    policy = CostPolicy.objects.select_for_update().get(organization_id=organization_id)
    audit.change_columns(policy, changes, actor=actor, verb="cost_policy.changed", target="rules for spend")
    return policy
