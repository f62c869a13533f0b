"""Prepared statements share one cursor per connection."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest


def kept() -> Any:
    ours: Any = connection
    return ours.kept_cursor()


@pytest.mark.django_db
def test_statements_share_a_cursor(organization: Organization) -> None:
    first = kept()
    with organization_scope(organization.pk):
        assert AIRequest.objects.fetch(idempotency_key="none") is None
    assert kept() is first


@pytest.mark.django_db
def test_statements_are_logged_while_queries_are_captured(organization: Organization) -> None:
    kept()
    with organization_scope(organization.pk), CaptureQueriesContext(connection) as queries:
        AIRequest.objects.fetch(idempotency_key="none")
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_new_connection_gets_its_own_cursor() -> None:
    before = kept()
    connection.close()
    with kept() as after:
        after.execute("SELECT 1")
        assert after.fetchone() == (1,)
    assert after is not before
