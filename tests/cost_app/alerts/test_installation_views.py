"""`/installation/alerts/` and `/installation/notifications/`: staff pages without rows of any organization."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import owner_scope
from cost_app.alerts.cause import Cause
from cost_app.alerts.checks import follow_causes
from cost_app.models import Alert, AlertKind, Severity

ClientOf = Callable[[User], Client]
ALERTS, CHANNELS = "/installation/alerts/", "/installation/notifications/"
FACTS = {"figures": [{"label": "Redis", "value": "fails"}], "page": "/queue/", "checks": {"redis": False}}
NEW = {"kind": "webhook", "name": "pager", "target": "https://example.com/hook", "min_severity": "low"}


@pytest.fixture
def staff(viewer: User) -> User:
    """A superuser who is only a viewer in the organization."""
    viewer.is_staff = viewer.is_superuser = True
    viewer.save()
    return viewer


def raise_alert(owner: Organization | None, name: str = "health") -> Alert:
    cause = Cause(name, AlertKind.SYSTEM_HEALTH, Severity.HIGH, "The installation is degraded.", facts=FACTS)
    follow_causes(owner and owner.pk, [], [cause])
    with owner_scope(owner and owner.pk):
        return Alert.objects.get(cause=name)


def test_staff_see_only_alerts_of_the_installation(
    staff: User, client_of: ClientOf, organization: Organization
) -> None:
    client = client_of(staff)
    assert "No open alerts" in client.get(ALERTS).text
    ours, theirs = raise_alert(None), raise_alert(organization)
    page = client.get(ALERTS).text
    assert f"{ALERTS}{ours.pk}/" in page and f"/alerts/{theirs.pk}/" not in page
    assert f"/alerts/{theirs.pk}/" in client.get("/alerts/").text
    assert f"/alerts/{ours.pk}/" not in client.get("/alerts/").text
    assert client.get(f"{ALERTS}{theirs.pk}/").status_code == client.get(f"/alerts/{ours.pk}/").status_code == 404


def test_each_list_offers_its_own_alert_kinds(staff: User, client_of: ClientOf) -> None:
    client = client_of(staff)
    here, there = client.get(ALERTS).text, client.get("/alerts/").text
    assert 'value="system_health"' in here and 'value="system_health"' not in there
    assert 'value="cost_spike"' in there and 'value="cost_spike"' not in here


def test_an_alert_without_an_amount_shows_figures_but_no_cost(staff: User, client_of: ClientOf) -> None:
    page = client_of(staff).get(f"{ALERTS}{raise_alert(None).pk}/").text
    assert "<dt>Redis</dt>" in page and 'href="/queue/"' in page
    assert "$0.00" not in page and "<dt>Cost</dt>" not in page
    assert "Until the budget" not in page


@pytest.mark.parametrize("with_htmx", [True, False])
@pytest.mark.parametrize(
    ("action", "state"), [("acknowledge", "acknowledged"), ("snooze", "snoozed"), ("resolve", "resolved")]
)
def test_staff_can_acknowledge_snooze_and_resolve_with_an_audit_event_of_the_installation(
    staff: User, client_of: ClientOf, organization: Organization, action: str, state: str, with_htmx: bool
) -> None:
    alert = raise_alert(None)
    headers = {"HX-Request": "true"} if with_htmx else {}
    response = client_of(staff).post(f"{ALERTS}{alert.pk}/{action}/", headers=headers)
    if with_htmx:
        assert (response.status_code == 200 and f"{ALERTS}{alert.pk}/" in response.text) or state == "resolved"
    else:
        assert response.headers["Location"] == f"{ALERTS}{alert.pk}/"
    with owner_scope(None):
        assert Alert.objects.get().state == state
        assert AuditEvent.objects.get().verb == f"alert.{state}"
    with owner_scope(organization.pk):
        assert not AuditEvent.objects.exists()


def test_bulk_acknowledge_leaves_organization_alerts_unchanged(
    staff: User, client_of: ClientOf, organization: Organization
) -> None:
    ours, theirs = raise_alert(None), raise_alert(organization)
    response = client_of(staff).post(f"{ALERTS}acknowledge/", {"id": [ours.pk, theirs.pk]})
    assert response.headers["Location"] == ALERTS
    with owner_scope(None):
        assert Alert.objects.get().state == "acknowledged"
    with owner_scope(organization.pk):
        assert Alert.objects.get().state == "open"


def test_list_runs_the_same_number_of_queries_with_more_alerts(staff: User, client_of: ClientOf) -> None:
    client = client_of(staff)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(ALERTS)
        return len(captured)

    raise_alert(None)
    first = queries()
    for number in range(9):
        raise_alert(None, f"health-{number}")
    assert queries() == first


@pytest.mark.parametrize("path", ["", "1/", "acknowledge/", "1/acknowledge/", "1/snooze/", "1/resolve/"])
def test_non_staff_get_403_and_wrong_methods_get_405(owner: User, staff: User, client_of: ClientOf, path: str) -> None:
    is_read = path in {"", "1/"}
    method = "get" if is_read else "post"
    assert getattr(client_of(owner), method)(ALERTS + path).status_code == 403
    assert client_of(staff).generic("POST" if is_read else "GET", ALERTS + path).status_code == 405


def test_staff_channels_belong_to_the_installation(
    staff: User, client_of: ClientOf, organization: Organization
) -> None:
    client = client_of(staff)
    assert "No channels yet" in client.get(CHANNELS).text
    page = client.post(f"{CHANNELS}add/", NEW).text
    with owner_scope(None):
        channel = Channel.objects.get()
    assert channel.secret in page
    assert client.post(f"{CHANNELS}{channel.pk}/test/").headers["Location"].startswith(f"{CHANNELS}?test=")
    assert client.post(f"{CHANNELS}{channel.pk}/switch/").status_code == 302
    with owner_scope(None):
        assert not Channel.objects.get().enabled
        delivery = Delivery.objects.get()
        assert client.post(f"{CHANNELS}deliveries/{delivery.pk}/again/").status_code == 302
        client.post(f"{CHANNELS}{channel.pk}/remove/")
        assert Channel.objects.get().removed_at is not None
        verbs = set(AuditEvent.objects.values_list("verb", flat=True))
    assert verbs == {"channel.added", "channel.tested", "channel.changed", "channel.removed"}
    with owner_scope(organization.pk):
        assert not Channel.objects.exists() and not AuditEvent.objects.exists()


def test_organization_channels_do_not_belong_to_staff(
    staff: User, owner: User, client_of: ClientOf, organization: Organization
) -> None:
    client_of(owner).post("/settings/notifications/add/", {**NEW, "name": "theirs"})
    with owner_scope(organization.pk):
        channel = Channel.objects.get()
    assert "theirs" not in client_of(staff).get(CHANNELS).text
    assert client_of(staff).post(f"{CHANNELS}{channel.pk}/switch/").status_code == 404
    assert client_of(owner).get(CHANNELS).status_code == 403
    assert client_of(owner).post(f"{CHANNELS}add/", NEW).status_code == 403


def test_installation_alert_is_sent_only_to_staff_channels(
    staff: User, owner: User, client_of: ClientOf, organization: Organization
) -> None:
    client_of(owner).post("/settings/notifications/add/", NEW)
    client_of(staff).post(f"{CHANNELS}add/", NEW)
    raise_alert(None)
    with owner_scope(None):
        assert Delivery.objects.get().payload["type"] == "alert.opened"
    with owner_scope(organization.pk):
        assert not Delivery.objects.exists()
