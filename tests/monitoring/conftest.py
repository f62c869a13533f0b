"""Callers, a queue with prices, an empty Redis, and workers that say that they are there."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict

import pytest

from aiinfra.redis import redis_client
from queue_app.heartbeat import WORKERS_KEY, WorkerBeat
from tests.api.conftest import _queue, browser, key_of, program  # noqa: F401 - fixtures


@pytest.fixture
def worker() -> Callable[..., None]:
    """Lets a worker be heard; the arguments are fields of its beat."""

    def beat(**fields: object) -> None:
        defaults = {"name": "w1", "host": "h", "pid": 1, "slots": 10, "busy": 0, "stopping": False}
        said = WorkerBeat(**{**defaults, "memory_bytes": 1, "started_at": 0.0, "at": time.time(), **fields})  # type: ignore[arg-type]
        redis_client().hset(WORKERS_KEY, said.name, json.dumps(asdict(said)))

    return beat
