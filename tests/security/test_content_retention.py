"""Content retention per organization, and legal holds."""

import pytest
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import Organization
from aiinfra.tenants.privacy import holds
from aiinfra.tenants.privacy.retention import change_retention, retention_of
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app import tasks as cache_tasks
from queue_app.models import AIRequest, RequestContent
from queue_app.repair.retention import cleanup
from tests.security.private_content import create_completed_request

pytestmark = pytest.mark.usefixtures("priced")


def remaining(organization: Organization) -> tuple[int, int]:
    """The numbers of contents and requests."""
    with organization_scope(organization.pk):
        return RequestContent.objects.count(), AIRequest.objects.count()


def clean_up() -> None:
    with system_scope():
        cleanup()
    cache_tasks.clean_up_rows()


def test_retention_is_set_per_organization(
    organization: Organization, other_organization: Organization, settings: Settings
) -> None:
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 30, 7
    change_retention(organization_id=organization.pk, request_days=10, content_days=2, actor="user:owner")
    for each in (organization, other_organization):
        for days in (1, 5, 20):
            create_completed_request(each, "anna", days)
    clean_up()
    assert remaining(organization) == (1, 2)
    assert remaining(other_organization) == (2, 3)


def test_organization_cannot_keep_content_longer_than_the_installation_or_its_requests(
    organization: Organization, settings: Settings
) -> None:
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 30, 7
    installation, request = "The installation keeps", "longer than its request"
    for days, content_days, reason in ((31, 7, installation), (30, 8, installation), (5, 6, request), (1, 0, request)):
        with pytest.raises(ValueError, match=reason):
            change_retention(
                organization_id=organization.pk, request_days=days, content_days=content_days, actor="user:x"
            )
    change_retention(organization_id=organization.pk, request_days=30, content_days=7, actor="user:owner")
    settings.QUEUE_RETENTION_DAYS, settings.QUEUE_CONTENT_RETENTION_DAYS = 5, 3
    assert (retention_of(organization.pk).request_days, retention_of(organization.pk).content_days) == (5, 3)


def test_legal_hold_suspends_retention_of_its_subject(
    organization: Organization, other_organization: Organization
) -> None:
    for user in ("anna", "ben"):
        create_completed_request(organization, user, 400)
    create_completed_request(other_organization, "anna", 400)
    holds.place(organization_id=organization.pk, user_ref="anna", reason="lawsuit", actor="user:staff")
    clean_up()
    assert remaining(organization) == (1, 1)
    assert remaining(other_organization) == (0, 0)
    holds.place(organization_id=organization.pk, reason="lawsuit", actor="user:staff")
    create_completed_request(organization, "ben", 400)
    clean_up()
    assert remaining(organization) == (2, 2)
