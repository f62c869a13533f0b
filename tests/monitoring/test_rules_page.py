"""`/alerts/rules/` and `/installation/settings/`: thresholds of queue alerts."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError
from django.test import Client

from aiinfra.monitoring.models import AlertRules
from aiinfra.monitoring.rules import INSTALLATION_DEPTH, rules_of
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import owner_scope, system_scope

URL, STAFF_URL = "/alerts/rules/", "/installation/settings/"
NEW = {"max_wait_s": "60", "max_error_percent": "10", "min_requests": "50", "max_depth": "0"}
ClientOf = Callable[[User], Client]


@pytest.fixture
def staff(viewer: User) -> User:
    """A superuser who is only a viewer in the organization."""
    viewer.is_staff = viewer.is_superuser = True
    viewer.save()
    return viewer


def figures(owner: Organization | None) -> tuple[int, int, int, int]:
    rules = rules_of(owner and owner.pk)
    return rules.max_wait_s, rules.max_error_percent, rules.min_requests, rules.max_depth


def test_defaults_match_the_specification(organization: Organization) -> None:
    assert figures(organization) == (10, 5, 20, 1_000)
    assert figures(None) == (10, 5, 20, INSTALLATION_DEPTH)


def test_admin_changes_only_thresholds_of_their_organization(
    admin: User, client_of: ClientOf, organization: Organization, other_organization: Organization
) -> None:
    client = client_of(admin)
    assert 'value="10"' in client.get(URL).text
    assert client.post(URL, NEW).status_code == 302
    assert figures(organization) == (60, 10, 50, 0)
    assert figures(other_organization) == (10, 5, 20, 1_000)
    assert figures(None) == (10, 5, 20, INSTALLATION_DEPTH)
    with owner_scope(organization.pk):
        event = AuditEvent.objects.get()
    assert (event.verb, event.actor) == ("alert_rules.changed", "user:admin")
    assert event.changes["max_wait_s"] == [10, 60]


def test_staff_can_change_thresholds_of_the_installation(
    staff: User, client_of: ClientOf, organization: Organization
) -> None:
    client = client_of(staff)
    assert f'value="{INSTALLATION_DEPTH}"' in client.get(STAFF_URL).text
    assert client.post(STAFF_URL, NEW).status_code == 302
    assert (figures(None), figures(organization)) == ((60, 10, 50, 0), (10, 5, 20, 1_000))
    assert client.post(STAFF_URL, {**NEW, "max_depth": "7"}).status_code == 302
    with owner_scope(None):
        assert AuditEvent.objects.filter(verb="alert_rules.changed").count() == 2
        assert AlertRules.objects.count() == 1
    with owner_scope(organization.pk):
        assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("max_wait_s", "-1"),
        ("max_wait_s", "86401"),
        ("max_error_percent", "100"),
        ("max_error_percent", "x"),
        ("min_requests", "0"),
        ("max_depth", "10000001"),
        ("max_depth", ""),
    ],
)
def test_threshold_out_of_range_is_rejected(
    admin: User, client_of: ClientOf, organization: Organization, field: str, wrong: str
) -> None:
    response = client_of(admin).post(URL, {**NEW, field: wrong})
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert figures(organization) == (10, 5, 20, 1_000)


def test_pages_require_permission(
    admin: User, operator: User, finance: User, stranger: User, staff: User, client: Client, client_of: ClientOf
) -> None:
    assert client.get(URL).status_code == client.get(STAFF_URL).status_code == 302
    for person in (operator, finance, staff):
        assert client_of(person).get(URL).status_code == client_of(person).post(URL, NEW).status_code == 403
    for person in (admin, stranger):
        assert client_of(person).get(STAFF_URL).status_code == client_of(person).post(STAFF_URL, NEW).status_code == 403
    assert client_of(admin).delete(URL).status_code == client_of(staff).delete(STAFF_URL).status_code == 405


def test_each_owner_has_one_row(organization: Organization) -> None:
    for owner in (organization, None):
        with system_scope():
            AlertRules.objects.create(organization=owner)
    with system_scope(), pytest.raises(IntegrityError):
        AlertRules.objects.create(organization=None)
