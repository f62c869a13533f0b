"""`/api/ai/performance`: latency and failures of the caller's organization by provider and model."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import ModelHour
from cost_app.performance.histogram import bucket_of
from tests.api.support import PERFORMANCE, Caller, error_of, queries_of


@pytest.fixture
def hour(organization: Organization) -> Callable[..., None]:
    """Creates an hour's rollup of calls with these latencies in ms, and these columns."""

    def make(*latencies_ms: int, hours_ago: int = 0, **columns: Any) -> None:
        at = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
        defaults = {"organization": organization, "provider": "deepseek", "model": "deepseek-chat", "hour": at}
        counts = {
            "calls": len(latencies_ms) + sum(columns.get("errors", {}).values()),
            "failures": sum(columns.get("errors", {}).values()),
            "timed_calls": len(latencies_ms),
            "latency_ms": sum(latencies_ms),
            "latencies": {bucket_of(each): latencies_ms.count(each) for each in latencies_ms},
        }
        row = ModelHour(**{**defaults, **counts, **columns})
        with organization_scope(row.organization_id):
            row.save()

    return make


Hour = Callable[..., None]


def models(caller: Caller, **query: object) -> list[dict[str, Any]]:
    response = caller.get(PERFORMANCE, **query)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = json.loads(response.content)["models"]
    return found


def test_every_model_has_latency_and_failures(program: Caller, hour: Hour) -> None:
    hour(1_000, 3_000, errors={"TIMEOUT": 2})
    hour(2_000, hours_ago=2)
    hour(500, provider="openai", model="gpt-4")
    deepseek, openai = models(program)
    assert deepseek.pop("p50") == pytest.approx(2_000, rel=0.025)
    assert deepseek.pop("p95") == deepseek.pop("p99") == pytest.approx(3_000, rel=0.025)
    assert deepseek == {
        "provider": "deepseek",
        "model": "deepseek-chat",
        "average": 2_000.0,
        "calls": 5,
        "failures": 2,
        "errors": {"TIMEOUT": 2},
    }
    assert (openai["model"], openai["calls"]) == ("gpt-4", 1)


def test_performance_can_be_filtered(program: Caller, hour: Hour) -> None:
    hour(1_000)
    hour(3_000, hours_ago=5)
    hour(500, provider="openai", model="gpt-4")
    assert [each["model"] for each in models(program, provider="openai")] == ["gpt-4"]
    assert [each["calls"] for each in models(program, model="deepseek-chat", hours=2)] == [1]


def test_performance_without_calls_is_empty(program: Caller) -> None:
    assert models(program) == []


def test_model_with_only_failed_calls_has_no_latency(program: Caller, hour: Hour) -> None:
    hour(errors={"SERVER_ERROR": 1})
    (only,) = models(program)
    assert (only["average"], only["p50"], only["failures"]) == (None, None, 1)


def test_calls_of_other_organizations_are_not_visible(
    program: Caller, hour: Hour, other_organization: Organization
) -> None:
    hour(1_000, organization=other_organization)
    assert models(program) == []


@pytest.mark.parametrize("hours", ["0", "721", "soon", "1.5"])
def test_invalid_hours_are_rejected(program: Caller, hours: str) -> None:
    response = program.get(PERFORMANCE, hours=hours)
    assert (response.status_code, error_of(response)["param"]) == (400, "hours")


def test_performance_runs_the_same_number_of_queries_with_more_hours(program: Caller, hour: Hour) -> None:
    hour(1_000)
    models(program)
    one = queries_of(lambda: models(program))
    for ago in range(1, 11):
        hour(1_000, hours_ago=ago)
    assert queries_of(lambda: models(program)) == one
