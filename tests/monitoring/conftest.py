"""Callers, a queue with prices, an empty Redis, and worker heartbeats."""

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
def started_at() -> datetime:
    """The start of the test, from which wait times and alert checks are counted, however slow the test is."""
    return timezone.now()


@pytest.fixture
def waiting(organization: Organization, started_at: datetime) -> Callable[..., None]:
    """Creates a request that has waited for this many seconds, with these columns."""

    def make(seconds: float, **columns: object) -> None:
        at = started_at - timedelta(seconds=seconds)
        defaults = {"organization": organization, "provider": "openai", "model": "gpt-4"}
        with system_scope():
            AIRequest.objects.create(**{**defaults, "created_at": at, "not_before": at, **columns})

    return make


@pytest.fixture
def worker() -> Callable[..., None]:
    """Writes a worker's heartbeat with these fields."""

    def beat(**fields: object) -> None:
        defaults = {"name": "w1", "host": "h", "pid": 1, "slots": 10, "busy": 0, "stopping": False}
        heartbeat = WorkerBeat(**{**defaults, "memory_bytes": 1, "started_at": 0.0, "at": time.time(), **fields})  # type: ignore[arg-type]
        redis_client().hset(WORKERS_KEY, heartbeat.name, json.dumps(asdict(heartbeat)))

    return beat


@pytest.fixture
def healthy(program: Caller, worker: Callable[..., None]) -> None:  # noqa: F811 - a fixture
    """All checks pass: Redis, the providers, and a worker whose slots are all busy."""
    worker(slots=4, busy=4)


@pytest.fixture
def watched(started_at: datetime) -> Watch:
    """The alert checks, on a settable clock."""
    return Watch(started_at)
