"""Health checks. Every call checks again; nothing is cached."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe
from pydantic import Field
from redis.exceptions import RedisError

from aiinfra import web_stopping
from aiinfra.api import ApiCall, ApiModel, Endpoint, NoParameters, Operation
from aiinfra.middleware import GetResponse
from aiinfra.monitoring import readiness
from aiinfra.monitoring.database_check import database_obstacle
from aiinfra.monitoring.metrics.endpoint import scraped
from aiinfra.monitoring.redis_check import redis_obstacle
from aiinfra.providers import breaker
from aiinfra.providers.registry import provider_names, sandbox_url
from aiinfra.tenants.access import public
from queue_app.facade import Pressure, QueueStats, WorkerBeat, has_overdue, queue_stats, workers

LATENCY_LIMIT = timedelta(seconds=10)
"""The specification's limit: if a request waits longer while slots are free, the queue is degraded."""


class BreakerOut(ApiModel):
    """The circuit of one model."""

    model: str
    state: Literal["closed", "open", "half_open"]
    failures: int


class ProviderHealth(ApiModel):
    """A provider with the circuits that have been used."""

    name: str
    healthy: bool
    breakers: list[BreakerOut]


class QueueHealth(ApiModel):
    """The caller's organization in the queue, and all workers."""

    healthy: bool
    workers: int
    pending: int
    oldest_pending_seconds: float | None


class Checks(ApiModel):
    """The checks."""

    redis: bool
    ai_providers: bool
    database: bool
    queue: bool


class Health(ApiModel):
    """All checks; degraded if one fails."""

    status: Literal["healthy", "degraded"]
    checks: Checks
    providers: list[ProviderHealth]
    queue: QueueHealth
    sandbox: bool
    redis_problem: str = Field(default="", exclude=True)
    """Why Redis takes no writes, for alerts."""
    database_problem: str = Field(default="", exclude=True)
    """Why the database takes no writes, for alerts."""
    timestamp: datetime


def get_health(_call: ApiCall, _payload: NoParameters) -> Health:
    """Redis, providers with their circuits, database and queue."""
    return _health(_queue(queue_stats()))


def installation_health(queue: Pressure, now: datetime) -> Health:
    """The same for all organizations together; runs without an organization in scope."""
    beats = _live_workers()
    slots_free = sum(worker.slots - worker.busy for worker in beats) > 0
    neglected = slots_free and queue.longest_neglect_s(now) > LATENCY_LIMIT.total_seconds()
    return _health(
        QueueHealth(
            healthy=bool(beats) and not neglected,
            workers=len(beats),
            pending=queue.waiting,
            oldest_pending_seconds=queue.longest_wait_s(now) if queue.ready else None,
        )
    )


def _live_workers() -> list[WorkerBeat]:
    try:
        return workers()
    except RedisError:
        return []


def _health(queue: QueueHealth) -> Health:
    providers = _providers()
    redis_problem, database_problem = redis_obstacle(), database_obstacle()
    checks = Checks(
        redis=not redis_problem,
        ai_providers=bool(providers) and all(provider.healthy for provider in providers),
        database=not database_problem,
        queue=queue.healthy,
    )
    healthy = all(checks.model_dump().values())
    return Health(
        status="healthy" if healthy else "degraded",
        checks=checks,
        providers=providers,
        queue=queue,
        sandbox=sandbox_url() is not None,
        redis_problem=redis_problem,
        database_problem=database_problem,
        timestamp=timezone.now(),
    )


def _providers() -> list[ProviderHealth]:
    states = sorted(breaker.states(), key=lambda state: state.provider)
    circuits = {name: list(group) for name, group in groupby(states, key=lambda state: state.provider)}
    return [_provider(name, circuits.get(name, [])) for name in provider_names()]


def _provider(name: str, circuits: list[breaker.BreakerState]) -> ProviderHealth:
    shown = [BreakerOut(model=c.model, state=c.state, failures=c.failures) for c in circuits]
    return ProviderHealth(name=name, healthy=all(c.state != "open" for c in circuits), breakers=shown)


def _queue(stats: QueueStats) -> QueueHealth:
    slots_free = sum(worker.slots - worker.busy for worker in stats.workers) > 0
    neglected = slots_free and has_overdue(stats, LATENCY_LIMIT)
    return QueueHealth(
        healthy=bool(stats.workers) and not neglected,
        workers=len(stats.workers),
        pending=stats.queue_size,
        oldest_pending_seconds=stats.oldest_pending_seconds,
    )


health_endpoint = Endpoint(
    {("GET", None): Operation(get_health, "health:read", NoParameters, Health, "Health of the installation")}
)


@public
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view takes the request
    """Liveness: the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@public
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view takes the request
    """Readiness: requests can be accepted. Redis may be down; the queue keeps accepted requests."""
    if not web_stopping.is_stopping() and not readiness.obstacle():
        return HttpResponse("ready\n", content_type="text/plain")
    return HttpResponse("not ready\n", content_type="text/plain", status=503)


PROBES: dict[str, Callable[[HttpRequest], HttpResponse | None]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": scraped,
}


def probes(get_response: GetResponse) -> GetResponse:
    """Middleware: answer probes under any host name. A rejected host name would look healthy to a load balancer.

    The same applies to `/metrics`, because Prometheus scrapes each host by its address.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        answer = probe(request) if probe else None
        return answer or get_response(request)

    return middleware
