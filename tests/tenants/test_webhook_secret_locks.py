"""A webhook secret replaced while its API key is being rotated also reaches the new key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from aiinfra.tenants import keys
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.webhook_secrets import rotate_webhook_secret
from tests.support.locks import is_blocking
from tests.support.processes import wait_until
from tests.tenants.made_keys import make, stored

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def replace(key: ApiKey) -> str:
    """Replace the secret in a new thread; closes that thread's connection."""
    try:
        with organization_scope(key.organization_id):
            return rotate_webhook_secret(key=key, actor="user:admin")
    finally:
        connection.close()


def test_uncommitted_rotation_gets_the_new_secret(organization: Organization) -> None:
    key, _ = make(organization)
    with ThreadPoolExecutor(1) as threads, organization_scope(organization.pk):
        with transaction.atomic():
            successor, _ = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="user:owner")
            replaced = threads.submit(replace, key)
            wait_until(lambda: replaced.done() or is_blocking(), "the secret change to block on the rotation")
            assert not replaced.done()
        secret = replaced.result()
    assert (stored(key).webhook_secret, stored(successor).webhook_secret) == (secret, secret)
