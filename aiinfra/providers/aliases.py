"""The organization's model aliases."""

from collections.abc import Mapping

from django.db import transaction

from aiinfra.providers.models import ModelAlias
from aiinfra.tenants import audit
from aiinfra.timed_cache import TimedCache

ALIASES_MAX = 200
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"
TARGET_MAX = 161
"""`provider/model`, each as long as it can be."""


class TooManyAliasesError(ValueError):
    """The organization has reached its limit of aliases."""


def targets_of(organization_id: int) -> Mapping[str, str]:
    """Alias -> model, cached in this process within an epoch."""
    return _targets.of(organization_id)


@transaction.atomic
def set_alias(*, organization_id: int, name: str, target: str, actor: str) -> ModelAlias:
    """Create an alias, or change its model. Raises TooManyAliasesError."""
    known = ModelAlias.objects.select_for_update().filter(organization_id=organization_id)
    alias = known.filter(name=name).first() or ModelAlias(organization_id=organization_id, name=name)
    before = alias.target or None
    if before is None and known.count() >= ALIASES_MAX:
        raise TooManyAliasesError(f"An organization can have at most {ALIASES_MAX} aliases.")
    if before != target:
        alias.target = target
        alias.save()
        changes = {"target": [before, target]}
        audit.record(
            organization_id=organization_id, actor=actor, verb="model_alias.changed", target=name, changes=changes
        )
    return alias


@transaction.atomic
def remove_alias(*, organization_id: int, name: str, actor: str) -> bool:
    """Remove an alias. False if there is none."""
    alias = ModelAlias.objects.filter(organization_id=organization_id, name=name).first()
    if alias is None:
        return False
    alias.delete()
    changes = {"target": [alias.target, None]}
    audit.record(organization_id=organization_id, actor=actor, verb="model_alias.removed", target=name, changes=changes)
    return True


def _read(organization_id: int) -> Mapping[str, str]:
    rows = ModelAlias.objects.filter(organization_id=organization_id)
    return dict(rows.order_by("name").values_list("name", "target"))


_targets = TimedCache(_read, seconds=1, owner=lambda organization_id, _: organization_id)
