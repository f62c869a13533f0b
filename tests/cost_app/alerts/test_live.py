"""Live events of alerts: one per state change, after its commit."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.db import transaction

from aiinfra.live_events import events_after, newest_id
from aiinfra.tenants.models import Organization
from cost_app.alerts import lifecycle
from cost_app.alerts.cause import Cause
from cost_app.alerts.events import AlertEvent
from cost_app.models import Alert, AlertKind, Severity
from tests.cost_app.alerts.conftest import NOW

Committed = Callable[..., AbstractContextManager[object]]
CAUSE = Cause(kind=AlertKind.COST_SPIKE, name="spike:1", severity=Severity.HIGH, message="A spike")


@pytest.fixture
def published(scoped: Organization, redis_url: str) -> Callable[[], list[AlertEvent]]:
    """Returns the events published since the test started."""
    since = newest_id(scoped.pk)
    return lambda: [AlertEvent.model_validate_json(each.data) for each in events_after(scoped.pk, since)[0]]


def open_alert(organization: Organization, minutes: int = 0) -> Alert:
    return lifecycle.raise_alert(organization.pk, CAUSE, {}, NOW + timedelta(minutes=minutes))[0]


def test_each_state_change_sends_an_event(
    scoped: Organization, published: Callable[[], list[AlertEvent]], django_capture_on_commit_callbacks: Committed
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alert = open_alert(scoped)
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.acknowledge(alert, actor="test")
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.snooze(alert, NOW + timedelta(hours=1), actor="test")
    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.resolve(alert, actor="test")
    assert [event.status for event in published()] == ["open", "acknowledged", "snoozed", "resolved"]
    first = published()[0]
    assert (first.alert_id, first.type, first.severity, first.message) == (
        str(alert.pk),
        "cost_spike",
        "high",
        "A spike",
    )


def test_continuing_cause_sends_one_event_until_it_ends(
    scoped: Organization, published: Callable[[], list[AlertEvent]], django_capture_on_commit_callbacks: Committed
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        for minutes in range(3):
            open_alert(scoped, minutes)
        for _ in range(2):
            lifecycle.resolve_ended(scoped.pk, {AlertKind.COST_SPIKE}, [], NOW + timedelta(minutes=4), ())
        open_alert(scoped, 5)
    assert [event.status for event in published()] == ["open", "resolved", "open"]


def test_a_rollback_sends_no_event(
    scoped: Organization, published: Callable[[], list[AlertEvent]], django_capture_on_commit_callbacks: Committed
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        open_alert(scoped)
        transaction.set_rollback(True)
    assert published() == []
