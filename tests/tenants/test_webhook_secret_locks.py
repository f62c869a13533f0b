"""A signing secret that is replaced while its API key is rotated reaches the new key as well."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from aiinfra.tenants import keys
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.webhook_secrets import rotate_webhook_secret
from tests.support.processes import wait_until
from tests.tenants.made_keys import make, stored

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def replace(key: ApiKey) -> str:
    """Run it in a new thread: it closes that thread's connection."""
    try:
        with organization_scope(key.organization_id):
            return rotate_webhook_secret(key=key, actor="user:admin")
    finally:
        connection.close()


def is_waited_for() -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return bool(cursor.fetchone()[0])


def test_a_rotation_that_is_not_committed_yet_gets_the_new_secret(organization: Organization) -> None:
    key, _ = make(organization)
    with ThreadPoolExecutor(1) as threads, organization_scope(organization.pk):
        with transaction.atomic():
            successor, _ = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="user:owner")
            replaced = threads.submit(replace, key)
            wait_until(lambda: replaced.done() or is_waited_for(), "the other change to wait for this one")
            assert not replaced.done()
        secret = replaced.result()
    assert (stored(key).webhook_secret, stored(successor).webhook_secret) == (secret, secret)
