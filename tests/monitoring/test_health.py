"""`/api/ai/health`: healthy, and degraded for each missing part."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers import breaker
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest, Priority, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.ordering.index import IndexEntry
from tests.api.support import HEALTH, Caller, queries_of, refused

Worker = Callable[..., None]


def health(caller: Caller) -> dict[str, Any]:
    response = caller.get(HEALTH)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    assert (body["status"] == "healthy") is all(body["checks"].values())
    return body


def failing_checks(caller: Caller) -> list[str]:
    return [name for name, passes in health(caller)["checks"].items() if not passes]


def test_complete_installation_is_healthy(program: Caller, worker: Worker) -> None:
    worker(name="w1", slots=10)
    worker(name="w2", slots=5)
    found = health(program)
    at = datetime.fromisoformat(found.pop("timestamp"))
    assert abs((timezone.now() - at).total_seconds()) < 60
    providers = [{"name": name, "healthy": True, "breakers": []} for name in ("openai", "deepseek", "anthropic")]
    assert sorted(found.pop("providers"), key=str) == sorted(providers, key=str)
    assert found == {
        "status": "healthy",
        "checks": {"redis": True, "aiProviders": True, "database": True, "queue": True},
        "queue": {"healthy": True, "workers": 2, "pending": 0, "oldestPendingSeconds": None},
        "sandbox": True,
    }


def test_unavailable_redis_degrades_health(program: Caller, worker: Worker, settings: Settings) -> None:
    worker()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert failing_checks(program) == ["redis", "queue"]


def test_missing_worker_degrades_health(program: Caller, worker: Worker) -> None:
    worker(at=time.time() - 60)
    assert failing_checks(program) == ["queue"]


@pytest.mark.parametrize("failures", [1, 5])
def test_open_circuit_degrades_health(program: Caller, worker: Worker, failures: int) -> None:
    worker()
    for _ in range(failures):
        breaker.record_failure("deepseek", "deepseek-chat")
    is_open = failures == 5
    assert failing_checks(program) == (["aiProviders"] if is_open else [])
    (deepseek,) = [each for each in health(program)["providers"] if each["name"] == "deepseek"]
    circuit = {"model": "deepseek-chat", "state": "open" if is_open else "closed", "failures": failures}
    assert deepseek == {"name": "deepseek", "healthy": not is_open, "breakers": [circuit]}


def test_half_open_circuit_is_healthy(program: Caller, worker: Worker, settings: Settings) -> None:
    worker()
    for _ in range(5):
        breaker.record_failure("openai", "gpt-4")
    settings.BREAKER_OPEN_S = 0
    assert failing_checks(program) == []


def test_waiting_request_despite_free_workers_degrades_health(
    program: Caller, worker: Worker, waiting: Callable[..., None]
) -> None:
    worker()
    waiting(1)
    assert failing_checks(program) == []
    waiting(11)
    assert failing_checks(program) == ["queue"]
    queue = health(program)["queue"]
    assert (queue["pending"], queue["healthy"]) == (2, False)
    assert queue["oldestPendingSeconds"] >= 11


def test_waiting_while_all_slots_are_busy_is_healthy(
    program: Caller, worker: Worker, waiting: Callable[..., None]
) -> None:
    worker(slots=4, busy=4)
    waiting(60)
    assert failing_checks(program) == []


def test_waiting_for_a_retry_is_healthy(program: Caller, worker: Worker, waiting: Callable[..., None]) -> None:
    worker()
    waiting(60, not_before=timezone.now() + timedelta(seconds=20))
    assert failing_checks(program) == []


def test_waiting_in_a_paused_priority_is_healthy(
    program: Caller, worker: Worker, waiting: Callable[..., None], organization: Organization
) -> None:
    worker()
    with organization_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, paused_priorities=[Priority.LOW])
    waiting(60, priority=Priority.LOW)
    assert failing_checks(program) == []
    waiting(60, priority=Priority.NORMAL)
    assert failing_checks(program) == ["queue"]


def test_waiting_for_a_provider_limit_is_healthy(
    program: Caller, worker: Worker, waiting: Callable[..., None], organization: Organization
) -> None:
    worker()
    waiting(11, next_model="deepseek/deepseek-chat")
    assert failing_checks(program) == ["queue"]
    index.run("set_limits", ["deepseek/", 1])
    with organization_scope(organization.pk):
        index.hold([IndexEntry(organization.pk, Priority.HIGH, uuid4(), "deepseek/deepseek-flash")])
        index.admit(AIRequest.objects.all())
    assert failing_checks(program) == []
    waiting(60, next_model="openai/gpt-3.5-turbo")
    assert failing_checks(program) == ["queue"]


def test_waiting_at_the_in_flight_limit_is_healthy(
    program: Caller, worker: Worker, waiting: Callable[..., None], organization: Organization
) -> None:
    worker(busy=1)
    with organization_scope(organization.pk):
        QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    waiting(60)
    assert failing_checks(program) == ["queue"]
    waiting(60, status=Status.PROCESSING)
    assert failing_checks(program) == []


def test_missing_provider_degrades_health(program: Caller, worker: Worker, settings: Settings) -> None:
    worker()
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
    settings.SANDBOX_URL = ""
    assert failing_checks(program) == ["aiProviders"]


def test_queues_of_other_organizations_are_not_reported(
    program: Caller, worker: Worker, other_organization: Organization
) -> None:
    worker()
    with organization_scope(other_organization.pk):
        at = timezone.now() - timedelta(seconds=60)
        AIRequest.objects.create(
            organization=other_organization, provider="openai", model="gpt-4", created_at=at, not_before=at
        )
    assert failing_checks(program) == []
    assert health(program)["queue"]["pending"] == 0


def test_installation_with_a_real_provider_is_not_a_sandbox(program: Caller, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "sk-test", "deepseek": "", "anthropic": ""}
    found = health(program)
    assert (found["sandbox"], [each["name"] for each in found["providers"]]) == (False, ["openai"])


def test_health_reveals_no_secrets(program: Caller, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "sk-very-secret", "deepseek": "", "anthropic": ""}
    content = program.get(HEALTH).content.decode()
    assert "sk-very-secret" not in content
    assert settings.REDIS_URL not in content


def test_every_role_can_read_health_with_key_or_session(key_of: Callable[..., Caller], browser: Caller) -> None:
    for caller in [*(key_of(role) for role in Role), browser]:
        health(caller)


def test_health_requires_a_credential() -> None:
    refused(Caller().get(HEALTH), 401)


def test_key_without_the_scope_cannot_read_health(key_of: Callable[..., Caller]) -> None:
    refused(key_of(Role.OWNER, ["queue:read"]).get(HEALTH), 403)


def test_health_accepts_no_parameters(program: Caller) -> None:
    refused(program.get(HEALTH, verbose="1"), 400, "verbose")


def test_health_runs_the_same_number_of_queries_with_more_requests(
    program: Caller, worker: Worker, waiting: Callable[..., None]
) -> None:
    worker()
    waiting(1)
    health(program)
    one = queries_of(lambda: health(program))
    for _ in range(9):
        waiting(1)
    assert queries_of(lambda: health(program)) == one
