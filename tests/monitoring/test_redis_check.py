"""A Redis that rejects writes is reported with its cause by health, doctor, and alerts."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.monitoring.health import installation_health
from aiinfra.monitoring.problems import health_problems
from aiinfra.monitoring.redis_check import redis_obstacle
from aiinfra.redis import redis_client
from queue_app.facade import Pressure


@pytest.fixture
def full(redis_url: str) -> Iterator[None]:
    redis_client().config_set("maxmemory", 1)
    yield
    redis_client().config_set("maxmemory", 0)


@pytest.fixture
def replica(redis_url: str) -> Iterator[None]:
    redis_client().replicaof("127.0.0.1", "1")
    yield
    redis_client().replicaof("NO", "ONE")


@pytest.mark.usefixtures("redis_url")
def test_writable_redis_has_no_problem() -> None:
    assert redis_obstacle() == ""


def test_unreachable_redis_is_reported(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert redis_obstacle() == "Redis is unreachable"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "cause"), [("full", "Redis is full (maxmemory)"), ("replica", "Redis is a read-only replica")]
)
def test_health_alerts_and_doctor_name_the_cause(state: str, cause: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(state)
    health = installation_health(Pressure(), timezone.now())
    assert not health.checks.redis
    assert "redisProblem" not in health.model_dump(by_alias=True)
    (problem,) = health_problems(health)
    assert cause in problem.message
    output = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=output)
    assert f"FAILED  {cause}" in output.getvalue()
