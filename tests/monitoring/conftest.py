"""Callers, a queue with prices, an empty Redis, and workers that say that they are there."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest
from queue_app.processing.heartbeat import WORKERS_KEY, WorkerBeat
from tests.api.conftest import _queue, browser, key_of, program  # noqa: F401 - fixtures
from tests.api.support import Caller
from tests.monitoring.watch import Watch
from tests.notifications.conftest import receiver  # noqa: F401 - a fixture


@pytest.fixture
def began() -> datetime:
    """When the test began: its waits and its rounds of the alert manager are counted from here, however slow it is."""
    return timezone.now()


@pytest.fixture
def waiting(organization: Organization, began: datetime) -> Callable[..., None]:
    """A request that has waited for some seconds; the further arguments are its columns."""

    def make(seconds: float, **columns: object) -> None:
        at = began - timedelta(seconds=seconds)
        defaults = {"organization": organization, "provider": "openai", "model": "gpt-4"}
        with system_scope():
            AIRequest.objects.create(**{**defaults, "created_at": at, "not_before": at, **columns})

    return make


@pytest.fixture
def worker() -> Callable[..., None]:
    """Lets a worker be heard; the arguments are fields of its beat."""

    def beat(**fields: object) -> None:
        defaults = {"name": "w1", "host": "h", "pid": 1, "slots": 10, "busy": 0, "stopping": False}
        said = WorkerBeat(**{**defaults, "memory_bytes": 1, "started_at": 0.0, "at": time.time(), **fields})  # type: ignore[arg-type]
        redis_client().hset(WORKERS_KEY, said.name, json.dumps(asdict(said)))

    return beat


@pytest.fixture
def healthy(program: Caller, worker: Callable[..., None]) -> None:  # noqa: F811 - a fixture
    """Everything is there: Redis, providers, and a worker of which every slot is busy."""
    worker(slots=4, busy=4)


@pytest.fixture
def watched(began: datetime) -> Watch:
    """The alert manager's rounds, on a clock of the test."""
    return Watch(began)
