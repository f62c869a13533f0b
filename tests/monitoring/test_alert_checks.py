"""The checks of the alert manager: which problems raise an alert, who is notified, and when it ends."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from aiinfra.monitoring import alert_checks
from aiinfra.monitoring.models import AlertRules, Incident
from aiinfra.monitoring.rules import change_rules
from aiinfra.notifications.delivering import deliver_pending
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import owner_scope, system_scope
from cost_app.alerts.lifecycle import resolve
from cost_app.models import Alert
from queue_app.models import QueueMinute, Status
from tests.api.support import COST, Caller
from tests.monitoring.watch import (
    Waiting,
    Watch,
    Worker,
    alerts,
    channel,
    delete_requests,
    minute,
    only_alert,
    sent_messages,
)
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("healthy")


def rules(owner: Organization | None, **columns: int) -> None:
    change_rules(organization_id=owner and owner.pk, changes=columns, actor="user:admin")


def test_healthy_installation_raises_no_alert(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(9)
    watched.check(1)
    minute(organization, watched.now, completed=100)
    watched.check(1, interval_s=0)
    assert (alerts(None), alerts(organization)) == ([], [])


def test_a_single_check_raises_no_alert(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(11)
    watched.check()
    delete_requests()
    watched.check()
    waiting(11)
    watched.check()
    assert alerts(organization) == []


def test_concurrent_checks_count_as_one(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(11)
    watched.check(5, interval_s=1)
    assert alerts(organization) == []
    watched.check(5, interval_s=5)
    assert alerts(organization) == [("queue_latency", "open")]


def test_one_clean_check_does_not_end_the_alert(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    channel(organization)
    waiting(11)
    watched.check(2)
    delete_requests()
    watched.check()
    waiting(11)
    watched.check(2)
    assert alerts(organization) == [("queue_latency", "open")]
    assert sent_messages(organization) == [("alert.opened", "queue_latency")]


def test_check_from_before_a_scheduler_pause_does_not_confirm_an_alert(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    waiting(11)
    watched.check(1, interval_s=3600)
    watched.check()
    assert alerts(organization) == []


def test_error_rate_alert_names_codes_and_models(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    rules(None, max_error_percent=0)
    minute(organization, watched.now, completed=18, failed=2)
    ended = {"status": Status.FAILED, "completed_at": watched.now}
    for _ in range(2):
        waiting(5, error_code="SERVER_ERROR", **ended)
    waiting(3600, error_code="TIMEOUT", status=Status.FAILED, completed_at=watched.now - timedelta(minutes=6))
    watched.check(2)
    alert = only_alert(organization, "error_rate")
    assert alert.message == "10% of the requests of the last 5 minutes failed: 2 of 20. The limit is 5%."
    assert alert.explanation["errors"] == [{"code": "SERVER_ERROR", "model": "openai/gpt-4", "requests": 2}]
    assert alerts(None) == []


@pytest.mark.parametrize(("completed", "failed"), [(18, 1), (19, 1), (190, 10), (0, 0)])
def test_few_requests_or_a_rate_at_the_limit_raise_no_alert(
    watched: Watch, organization: Organization, completed: int, failed: int
) -> None:
    minute(organization, watched.now, completed=completed, failed=failed)
    watched.check(3)
    assert alerts(organization) == []


def test_error_rate_alert_stays_open_until_the_errors_end(watched: Watch, organization: Organization) -> None:
    minute(organization, watched.now, completed=0, failed=30)
    watched.check(2)
    with system_scope():
        QueueMinute.objects.update(failed=3)
    watched.check(2)
    assert alerts(organization) == [("error_rate", "open")]
    watched.now += timedelta(minutes=6)
    watched.check(2)
    assert alerts(organization) == [("error_rate", "resolved")]


def test_each_organization_has_its_own_thresholds(
    watched: Watch, organization: Organization, other_organization: Organization, waiting: Waiting
) -> None:
    rules(organization, max_depth=1, max_wait_s=0)
    for _ in range(2):
        waiting(60)
        waiting(60, organization=other_organization)
    rules(other_organization, max_wait_s=120)
    rules(None, max_wait_s=0, max_depth=3)
    watched.check(2)
    assert alerts(organization) == [("queue_depth", "open")]
    assert alerts(other_organization) == []
    assert alerts(None) == [("queue_depth", "open")]
    assert only_alert(organization, "queue_depth").message == "2 requests are waiting in the queue; the limit is 1."
    assert only_alert(None, "queue_depth").explanation["waiting"] == 4


def test_redis_outage_and_recovery_are_reported_from_the_database(
    watched: Watch, organization: Organization, settings: Settings, redis_url: str, receiver: Receiver
) -> None:
    channel(None, receiver.url)
    channel(organization)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    watched.check(4)
    assert alerts(None) == [("system_health", "open")]
    assert only_alert(None, "system_health").message == "The installation is degraded: Redis is unreachable."
    settings.REDIS_URL = redis_url
    watched.check(4)
    assert alerts(None) == [("system_health", "resolved")]
    assert (alerts(organization), sent_messages(organization)) == ([], [])
    deliver_pending()
    deliver_pending()
    bodies = [json.loads(body) for _, body in receiver.received]
    assert [body["type"] for body in bodies] == ["alert.opened", "alert.resolved"]
    checks = {"redis": False, "aiProviders": True, "database": True, "queue": False}
    assert bodies[0]["data"]["explanation"]["checks"] == checks
    assert bodies[0]["data"]["currentCost"] is None


def test_missing_worker_degrades_the_installation(watched: Watch, worker: Worker, waiting: Waiting) -> None:
    worker(at=time.time() - 60)
    waiting(5)
    watched.check(2)
    alert = only_alert(None, "system_health")
    assert (alert.severity, alert.message) == ("high", "The installation is degraded: no worker is running.")


def test_failing_organization_does_not_stop_others(
    watched: Watch,
    organization: Organization,
    other_organization: Organization,
    waiting: Waiting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting(60)
    waiting(60, organization=other_organization)
    follow = alert_checks.cost.follow_causes

    def fail_for_one(owner: int | None, *arguments: Any, **options: Any) -> None:
        if owner in (organization.pk, None):
            raise RuntimeError
        follow(owner, *arguments, **options)

    monkeypatch.setattr(type(alert_checks.cost), "follow_causes", staticmethod(fail_for_one))
    watched.check(2)
    assert (alerts(organization), alerts(other_organization)) == ([], [("queue_latency", "open")])


def test_problem_that_returns_within_five_minutes_reopens_the_alert(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    channel(organization)
    for _ in range(2):
        waiting(60)
        watched.check(2)
        delete_requests()
        watched.check(2)
    assert alerts(organization) == [("queue_latency", "resolved")]
    assert [kind for kind, _ in sent_messages(organization)] == ["alert.opened", "alert.resolved"]
    watched.now += timedelta(minutes=5)
    watched.check()
    assert not Incident._base_manager.exists()  # ended problems leave no rows
    waiting(60)
    watched.check(2)
    assert alerts(organization) == [("queue_latency", "resolved"), ("queue_latency", "open")]
    assert [kind for kind, _ in sent_messages(organization)] == ["alert.opened", "alert.resolved", "alert.opened"]


def test_a_manually_resolved_alert_stays_resolved(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(60)
    watched.check(2)
    with owner_scope(organization.pk):
        resolve(Alert.objects.get(), actor="user:operator")
    watched.check(3)
    assert alerts(organization) == [("queue_latency", "resolved")]


def test_api_lists_the_alert_without_amounts(
    watched: Watch, program: Caller, organization: Organization, waiting: Waiting
) -> None:
    waiting(60)
    watched.check(2)
    (alert,) = json.loads(program.get(COST, action="alerts").content)["alerts"]
    assert (alert["type"], alert["status"], alert["severity"]) == ("queue_latency", "open", "high")
    assert alert["currentCost"] is alert["budgetLimit"] is alert["threshold"] is alert["budgetId"] is None
    assert alert["explanation"]["waiting"] == 1


def test_check_runs_the_same_number_of_queries_with_more_organizations(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            watched.check(interval_s=0)
        return len(captured)

    def busy(number: int) -> None:
        one = Organization.objects.create(slug=f"busy-{number}", name=f"Busy {number}")
        waiting(1, organization=one)
        minute(one, watched.now, completed=5)
        with owner_scope(one.pk):
            AlertRules.objects.create(organization=one)

    busy(0)
    first = queries()
    for number in range(1, 10):
        busy(number)
    assert queries() == first
