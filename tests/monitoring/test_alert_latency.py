"""Alerts about waiting requests."""

from datetime import datetime, timedelta

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import owner_scope
from queue_app.models import Priority, QueuePolicy, Status
from tests.monitoring.watch import Waiting, Watch, Worker, alerts, channel, delete_requests, only_alert, sent_messages

pytestmark = pytest.mark.usefixtures("healthy")


def test_request_that_waits_too_long_alerts_its_organization_and_staff(
    watched: Watch, organization: Organization, other_organization: Organization, waiting: Waiting
) -> None:
    for owner in (organization, other_organization, None):
        channel(owner)
    waiting(11)
    waiting(5)
    watched.check(3)
    for owner in (organization, None):
        assert alerts(owner) == [("queue_latency", "open")]
        assert sent_messages(owner) == [("alert.opened", "queue_latency")]
    assert (alerts(other_organization), sent_messages(other_organization)) == ([], [])
    alert = only_alert(organization, "queue_latency")
    assert alert.message.endswith("the limit is 10 s. 2 requests are waiting to start.")
    assert alert.explanation["models"] == [{"model": "openai/gpt-4", "requests": 2}]
    assert alert.explanation["limitSeconds"] == 10
    assert alert.current_nano is None
    assert datetime.fromisoformat(alert.explanation["since"]) == alert.opened_at < watched.now - timedelta(seconds=60)
    delete_requests()
    watched.check(4)
    for owner in (organization, None):
        assert alerts(owner) == [("queue_latency", "resolved")]
        assert sent_messages(owner) == [("alert.opened", "queue_latency"), ("alert.resolved", "queue_latency")]


def test_a_paused_priority_is_not_latency(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    with owner_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, paused_priorities=[Priority.LOW])
    waiting(600, priority=Priority.LOW)
    watched.check(3)
    assert alerts(organization) == []


def test_waiting_at_the_in_flight_limit_is_not_latency(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    with owner_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    waiting(600, status=Status.PROCESSING)
    waiting(600)
    watched.check(3)
    assert alerts(organization) == []


def test_waiting_for_a_retry_or_a_leader_is_not_latency(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    waiting(600, not_before=watched.now + timedelta(minutes=5))
    waiting(600, leader_id="00000000-0000-0000-0000-000000000001")
    watched.check(3)
    assert alerts(organization) == []


def test_requests_waiting_despite_free_workers_degrade_the_installation(
    watched: Watch, worker: Worker, waiting: Waiting
) -> None:
    worker(slots=4, busy=1)
    waiting(11)
    watched.check(2)
    message = only_alert(None, "system_health").message
    assert message == "The installation is degraded: requests are waiting although workers have free slots."


def test_waiting_for_a_provider_limit_raises_a_latency_alert_but_does_not_degrade_the_installation(
    watched: Watch, organization: Organization, worker: Worker, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(slots=4, busy=1)
    monkeypatch.setattr("queue_app.stats.pressure.waiting_for_limits", lambda _ids: {"openai/gpt-4": 1})
    waiting(60)
    watched.check(2)
    assert ("system_health", "open") not in alerts(None)
    assert only_alert(organization, "queue_latency").explanation["limited"] == 1
    waiting(60, next_model="openai/gpt-3.5-turbo")
    watched.check(2)
    assert ("system_health", "open") in alerts(None)
