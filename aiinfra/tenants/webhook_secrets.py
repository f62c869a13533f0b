"""The signing secret of an API key's own, for its webhooks instead of the organization's."""

from django.db import transaction

from aiinfra.signing_secrets import new_signing_secret
from aiinfra.tenants import audit
from aiinfra.tenants.keys import line_of
from aiinfra.tenants.models import ApiKey


@transaction.atomic
def rotate_webhook_secret(*, key: ApiKey, actor: str) -> str:
    """Create the key's signing secret, or replace it; returns it, which is never shown again.

    It signs all later attempts, also of messages that were written before. Keys that replaced each other by rotation
    have one secret.
    """
    secret = new_signing_secret()
    _change(key, secret, actor)
    return secret


@transaction.atomic
def remove_webhook_secret(*, key: ApiKey, actor: str) -> bool:
    """Remove the key's signing secret, so that the organization's signs its webhooks. False if the key had none."""
    return _change(key, None, actor)


def _change(key: ApiKey, secret: str | None, actor: str) -> bool:
    line = list(line_of(key.pk).select_for_update(of=("self",)).order_by("pk"))
    if secret is None and all(each.webhook_secret is None for each in line):
        return False
    line_of(key.pk).update(webhook_secret=secret)  # looks again: a rotation may have added a key before the lock
    audit.record(
        organization_id=key.organization_id,
        actor=actor,
        verb="api_key.webhook_secret_rotated" if secret else "api_key.webhook_secret_removed",
        target=str(key),
    )
    return True
