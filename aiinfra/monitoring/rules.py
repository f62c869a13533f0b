"""Alert rules for the queue of an organization or of the installation."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from aiinfra.monitoring.models import AlertRules
from aiinfra.tenants import audit
from aiinfra.tenants.scope import owner_scope, system_scope

INSTALLATION_DEPTH = 10_000
"""For all organizations together: as many as one of them may have waiting by default."""


def default_rules(organization_id: int | None) -> AlertRules:
    """Default rules for an owner that has none, not saved."""
    rules = AlertRules(organization_id=organization_id)
    if organization_id is None:
        rules.max_depth = INSTALLATION_DEPTH
    return rules


def rules_of(organization_id: int | None) -> AlertRules:
    """An organization's rules, or the installation's for None."""
    with owner_scope(organization_id):
        return AlertRules.objects.first() or default_rules(organization_id)


def all_rules() -> dict[int | None, AlertRules]:
    """All stored rules, by organization ID; None for the installation. One query."""
    with system_scope():
        return {rules.organization_id: rules for rules in AlertRules.objects.all()}


@transaction.atomic
def change_rules(*, organization_id: int | None, changes: Mapping[str, Any], actor: str) -> AlertRules:
    """Set columns, and record the changes in the audit log."""
    key: dict[str, Any] = {"organization_id": organization_id}
    with owner_scope(organization_id):
        AlertRules.objects.get_or_create(**key, defaults={"max_depth": default_rules(organization_id).max_depth})
        rules = AlertRules.objects.select_for_update().get()
        audit.change_columns(rules, changes, actor=actor, verb="alert_rules.changed", target="alert thresholds")
    return rules
