"""Change what an API key may do."""

from django.db import transaction

from aiinfra.tenants import audit
from aiinfra.tenants.key_limits import KeyLimits, limit_changes
from aiinfra.tenants.models import ApiKey


@transaction.atomic
def change_limits(*, key: ApiKey, limits: KeyLimits, actor: str) -> bool:
    """Replace a key's limits; they apply to the next request. False if nothing changed."""
    stored = ApiKey.objects.select_for_update(of=("self",)).get(pk=key.pk)
    changes = limit_changes(stored.limits, limits)
    if not changes:
        return False
    stored.requests_per_minute = limits.requests_per_minute
    stored.concurrent_requests = limits.concurrent_requests
    stored.tokens_per_minute = limits.tokens_per_minute
    stored.nano_per_minute = limits.nano_per_minute
    stored.allowed_networks = [str(each) for each in limits.networks]
    stored.allowed_models, stored.allowed_doors = list(limits.access.models), list(limits.access.doors)
    stored.default_tags, stored.default_priority = list(limits.access.tags), limits.access.priority
    if "webhook_host" in changes:  # else one that no key decrypts would be lost
        stored.webhook = limits.access.webhook or None
    stored.save(update_fields=[*LIMIT_COLUMNS])
    audit.record(
        organization_id=stored.organization_id,
        actor=actor,
        verb="api_key.limits_changed",
        target=str(stored),
        changes=changes,
    )
    return True


LIMIT_COLUMNS = (
    "requests_per_minute",
    "concurrent_requests",
    "tokens_per_minute",
    "nano_per_minute",
    "allowed_networks",
    "allowed_models",
    "allowed_doors",
    "default_tags",
    "default_priority",
    "webhook",
)
