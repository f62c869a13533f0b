"""An organization's spend policy, with defaults."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from cost_app.models import CostPolicy


def policy_of(organization_id: int) -> CostPolicy:
    """The organization's policy; an unsaved one with the defaults if it has none."""
    policy = CostPolicy.objects.filter(organization_id=organization_id).first()
    return policy or CostPolicy(organization_id=organization_id)


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
