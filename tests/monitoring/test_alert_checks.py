"""The alert manager's round: what raises an alert, who hears of it, and how it ends."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.monitoring import alert_checks
from aiinfra.monitoring.alert_checks import check_alerts
from aiinfra.monitoring.models import AlertRules, Incident
from aiinfra.monitoring.rules import change_rules
from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.delivering import deliver_pending
from aiinfra.notifications.models import Delivery
from aiinfra.providers import breaker
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import owner_scope, system_scope
from cost_app.alerts.lifecycle import resolve
from cost_app.models import Alert
from queue_app.models import AIRequest, Priority, QueueMinute, QueuePolicy, Status
from tests.api.support import COST, Caller
from tests.support.receiver import Receiver

Worker = Callable[..., None]
Waiting = Callable[..., None]
pytestmark = pytest.mark.usefixtures("healthy")


@pytest.fixture
def healthy(program: Caller, worker: Worker) -> None:
    """Everything is there: Redis, providers, and a worker of which every slot is busy."""
    worker(slots=4, busy=4)


class Watch:
    """Looks every 30 seconds of its own clock."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def look(self, times: int = 1, *, apart_s: float = 30) -> None:
        for _ in range(times):
            check_alerts(self.now)
            self.now += timedelta(seconds=apart_s)


@pytest.fixture
def watched() -> Watch:
    return Watch()


def alerts(owner: Organization | None) -> list[tuple[str, str]]:
    with owner_scope(owner and owner.pk):
        return list(Alert.objects.order_by("id").values_list("kind", "state"))


def only_alert(owner: Organization | None, kind: str) -> Alert:
    with owner_scope(owner and owner.pk):
        return Alert.objects.select_related("organization").get(kind=kind)


def channel(owner: Organization | None, target: str = "https://example.com/hook") -> None:
    add_channel(
        organization_id=owner and owner.pk,
        kind="webhook",
        name="ops",
        target=target,
        min_severity="low",
        actor="user:admin",
    )


def told(owner: Organization | None) -> list[tuple[str, str]]:
    with owner_scope(owner and owner.pk):
        rows = Delivery.objects.order_by("id").values_list("payload", flat=True)
        return [(row["type"], row["data"]["type"]) for row in rows]


def minute(organization: Organization, at: datetime, **counts: int) -> None:
    with owner_scope(organization.pk):
        QueueMinute.objects.create(
            organization=organization, minute=at.replace(second=0, microsecond=0), priority=Priority.NORMAL, **counts
        )


def forget_waiting() -> None:
    with system_scope():
        AIRequest.objects.all().delete()


def rules(owner: Organization | None, **columns: int) -> None:
    change_rules(organization_id=owner and owner.pk, changes=columns, actor="user:admin")


def test_a_healthy_installation_raises_nothing(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(9)
    watched.look(1)
    minute(organization, watched.now, completed=100)
    watched.look(1, apart_s=0)
    assert (alerts(None), alerts(organization)) == ([], [])


def test_a_request_that_waits_too_long_alerts_its_organization_and_staff(
    watched: Watch, organization: Organization, other_organization: Organization, waiting: Waiting
) -> None:
    for owner in (organization, other_organization, None):
        channel(owner)
    waiting(11)
    waiting(5)
    watched.look(3)
    for owner in (organization, None):
        assert alerts(owner) == [("queue_latency", "open")]
        assert told(owner) == [("alert.opened", "queue_latency")]
    assert (alerts(other_organization), told(other_organization)) == ([], [])
    alert = only_alert(organization, "queue_latency")
    assert alert.message.endswith("the limit is 10 s. 2 requests are waiting to start.")
    assert alert.explanation["models"] == [{"model": "openai/gpt-4", "requests": 2}]
    assert alert.explanation["limitSeconds"] == 10
    assert alert.current_nano is None
    assert datetime.fromisoformat(alert.explanation["since"]) == alert.opened_at < watched.now - timedelta(seconds=60)
    forget_waiting()
    watched.look(4)
    for owner in (organization, None):
        assert alerts(owner) == [("queue_latency", "resolved")]
        assert told(owner) == [("alert.opened", "queue_latency"), ("alert.resolved", "queue_latency")]


def test_a_single_check_raises_no_alert(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(11)
    watched.look()
    forget_waiting()
    watched.look()
    waiting(11)
    watched.look()
    assert alerts(organization) == []


def test_concurrent_checks_count_as_one(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(11)
    watched.look(5, apart_s=1)
    assert alerts(organization) == []
    watched.look(5, apart_s=5)
    assert alerts(organization) == [("queue_latency", "open")]


def test_one_clean_check_does_not_end_the_alert(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    channel(organization)
    waiting(11)
    watched.look(2)
    forget_waiting()
    watched.look()
    waiting(11)
    watched.look(2)
    assert alerts(organization) == [("queue_latency", "open")]
    assert told(organization) == [("alert.opened", "queue_latency")]


def test_a_suspicion_from_before_a_pause_of_the_scheduler_confirms_nothing(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    waiting(11)
    watched.look(1, apart_s=3600)
    watched.look()
    assert alerts(organization) == []


def test_a_paused_priority_is_not_latency(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    with owner_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, paused_priorities=[Priority.LOW])
    waiting(600, priority=Priority.LOW)
    watched.look(3)
    assert alerts(organization) == []


def test_an_organization_at_its_in_flight_limit_is_not_latency(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    with owner_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    waiting(600, status=Status.PROCESSING)
    waiting(600)
    watched.look(3)
    assert alerts(organization) == []


def test_waiting_for_a_retry_or_a_leader_is_not_latency(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    waiting(600, not_before=watched.now + timedelta(minutes=5))
    waiting(600, leader_id="00000000-0000-0000-0000-000000000001")
    watched.look(3)
    assert alerts(organization) == []


def test_an_error_rate_names_the_codes_and_models(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    rules(None, max_error_percent=0)
    minute(organization, watched.now, completed=18, failed=2)
    ended = {"status": Status.FAILED, "completed_at": watched.now}
    for _ in range(2):
        waiting(5, error_code="SERVER_ERROR", **ended)
    waiting(3600, error_code="TIMEOUT", status=Status.FAILED, completed_at=watched.now - timedelta(minutes=6))
    watched.look(2)
    alert = only_alert(organization, "error_rate")
    assert alert.message == "10 % of the requests of the last 5 minutes failed: 2 of 20. The limit is 5 %."
    assert alert.explanation["errors"] == [{"code": "SERVER_ERROR", "model": "openai/gpt-4", "requests": 2}]
    assert alerts(None) == []


@pytest.mark.parametrize(("completed", "failed"), [(18, 1), (19, 1), (190, 10), (0, 0)])
def test_few_requests_or_a_rate_at_the_limit_raise_nothing(
    watched: Watch, organization: Organization, completed: int, failed: int
) -> None:
    minute(organization, watched.now, completed=completed, failed=failed)
    watched.look(3)
    assert alerts(organization) == []


def test_an_error_rate_stays_while_few_requests_fail_and_ends_with_the_errors(
    watched: Watch, organization: Organization
) -> None:
    minute(organization, watched.now, completed=0, failed=30)
    watched.look(2)
    with system_scope():
        QueueMinute.objects.update(failed=3)
    watched.look(2)
    assert alerts(organization) == [("error_rate", "open")]
    watched.now += timedelta(minutes=6)
    watched.look(2)
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
    watched.look(2)
    assert alerts(organization) == [("queue_depth", "open")]
    assert alerts(other_organization) == []
    assert alerts(None) == [("queue_depth", "open")]
    assert only_alert(organization, "queue_depth").message == "2 requests are waiting in the queue; the limit is 1."
    assert only_alert(None, "queue_depth").explanation["waiting"] == 4


def test_an_unavailable_redis_and_its_return_are_reported_by_the_database(
    watched: Watch, organization: Organization, settings: Settings, redis_url: str, receiver: Receiver
) -> None:
    channel(None, receiver.url)
    channel(organization)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    watched.look(4)
    assert alerts(None) == [("system_health", "open")]
    assert only_alert(None, "system_health").message == "The installation is degraded: Redis is unreachable."
    settings.REDIS_URL = redis_url
    watched.look(4)
    assert alerts(None) == [("system_health", "resolved")]
    assert (alerts(organization), told(organization)) == ([], [])
    deliver_pending()
    deliver_pending()
    bodies = [json.loads(body) for _, body in receiver.received]
    assert [body["type"] for body in bodies] == ["alert.opened", "alert.resolved"]
    checks = {"redis": False, "aiProviders": True, "database": True, "queue": False}
    assert bodies[0]["data"]["explanation"]["checks"] == checks
    assert bodies[0]["data"]["currentCost"] is None


def test_no_worker_degrades_the_installation(watched: Watch, worker: Worker, waiting: Waiting) -> None:
    worker(at=time.time() - 60)
    waiting(5)
    watched.look(2)
    alert = only_alert(None, "system_health")
    assert (alert.severity, alert.message) == ("high", "The installation is degraded: no worker is running.")


def test_neglect_by_free_workers_degrades_the_installation(watched: Watch, worker: Worker, waiting: Waiting) -> None:
    worker(slots=4, busy=1)
    waiting(11)
    watched.look(2)
    message = only_alert(None, "system_health").message
    assert message == "The installation is degraded: requests are waiting although workers have free slots."


def test_a_provider_limit_is_latency_but_no_neglect(
    watched: Watch, organization: Organization, worker: Worker, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(slots=4, busy=1)
    monkeypatch.setattr("queue_app.stats.pressure.waiting_for_limits", lambda _ids: {"openai/gpt-4": 1})
    waiting(60)
    watched.look(2)
    assert ("system_health", "open") not in alerts(None)
    assert only_alert(organization, "queue_latency").explanation["limited"] == 1
    waiting(60, next_model="openai/gpt-3.5-turbo")
    watched.look(2)
    assert ("system_health", "open") in alerts(None)


def trip(*models: str) -> None:
    for model in models:
        for _ in range(5):
            breaker.record_failure("deepseek", model)


def test_a_provider_that_is_down_is_shown_with_models_and_waiting_requests(watched: Watch, waiting: Waiting) -> None:
    channel(None)
    trip("deepseek-chat", "deepseek-reasoner")
    waiting(5, provider="deepseek", model="deepseek-chat", not_before=watched.now + timedelta(minutes=1))
    waiting(5)
    watched.look(2)
    alert = only_alert(None, "provider_down")
    assert alert.message == (
        "deepseek is down: calls to deepseek-chat, deepseek-reasoner failed repeatedly and are on hold. "
        "1 request is waiting for deepseek."
    )
    assert alert.explanation["models"] == ["deepseek-chat", "deepseek-reasoner"]
    assert ("alert.opened", "provider_down") in told(None)
    for model in ("deepseek-chat", "deepseek-reasoner"):
        redis_client().delete("aiinfra:breaker:states")
        breaker.record_success("deepseek", model)
    watched.look(2)
    assert ("provider_down", "resolved") in alerts(None)


def test_a_provider_on_probation_stays_down_until_a_call_shows_it_or_nobody_calls(
    watched: Watch, settings: Settings
) -> None:
    trip("deepseek-chat")
    watched.look(2)
    settings.BREAKER_OPEN_S = 0
    watched.look(5)
    assert ("provider_down", "open") in alerts(None)
    watched.now += timedelta(minutes=5)
    watched.look(3)
    assert ("provider_down", "resolved") in alerts(None)


def test_without_redis_no_provider_is_reported_as_recovered(watched: Watch, settings: Settings, redis_url: str) -> None:
    trip("deepseek-chat")
    watched.look(2)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    watched.look(4)
    assert ("provider_down", "open") in alerts(None)


def test_one_organization_that_fails_does_not_stop_the_others(
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
    watched.look(2)
    assert (alerts(organization), alerts(other_organization)) == ([], [("queue_latency", "open")])


def test_a_return_within_five_minutes_reopens_the_alert(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    channel(organization)
    for _ in range(2):
        waiting(60)
        watched.look(2)
        forget_waiting()
        watched.look(2)
    assert alerts(organization) == [("queue_latency", "resolved")]
    assert [kind for kind, _ in told(organization)] == ["alert.opened", "alert.resolved"]
    watched.now += timedelta(minutes=5)
    watched.look()
    assert not Incident._base_manager.exists()  # what is over leaves nothing behind
    waiting(60)
    watched.look(2)
    assert alerts(organization) == [("queue_latency", "resolved"), ("queue_latency", "open")]
    assert [kind for kind, _ in told(organization)] == ["alert.opened", "alert.resolved", "alert.opened"]


def test_a_manually_resolved_alert_stays_resolved(watched: Watch, organization: Organization, waiting: Waiting) -> None:
    waiting(60)
    watched.look(2)
    with owner_scope(organization.pk):
        resolve(Alert.objects.get(), actor="user:operator")
    watched.look(3)
    assert alerts(organization) == [("queue_latency", "resolved")]


def test_the_api_lists_it_without_an_amount(
    watched: Watch, program: Caller, organization: Organization, waiting: Waiting
) -> None:
    waiting(60)
    watched.look(2)
    (alert,) = json.loads(program.get(COST, action="alerts").content)["alerts"]
    assert (alert["type"], alert["status"], alert["severity"]) == ("queue_latency", "open", "high")
    assert alert["currentCost"] is alert["budgetLimit"] is alert["threshold"] is alert["budgetId"] is None
    assert alert["explanation"]["waiting"] == 1


def test_a_round_costs_the_same_for_one_and_ten_organizations(
    watched: Watch, organization: Organization, waiting: Waiting
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            watched.look(apart_s=0)
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
