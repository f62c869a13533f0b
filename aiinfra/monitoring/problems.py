"""Current problems of a queue, the providers and the installation, in words and figures.

The figures of a `Problem` are for people, everything else in its facts is for programs. Runs queries only for problems
it found: what most requests wait for, and what most of them failed with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from aiinfra.monitoring.health import Health
from aiinfra.monitoring.models import AlertRules
from aiinfra.plurals import plural
from aiinfra.providers.breaker import BreakerState, CircuitState
from aiinfra.templatetags.formats import duration_ms
from cost_app.facade import AlertKind, Severity
from queue_app.facade import ERROR_WINDOW, Pressure, recent_failures, waiting_by_provider, waiting_models

QUEUE_PAGE = "/queue/"
PROVIDERS_PAGE = "/providers/"
FAILED_PAGE = "/queue/requests/?status=failed"
MINUTES = int(ERROR_WINDOW.total_seconds()) // 60
Figures = list[tuple[str, str]]


@dataclass(frozen=True)
class Problem:
    """A problem; `name` identifies it for its owner across checks."""

    name: str
    kind: AlertKind
    severity: Severity
    message: str
    figures: Figures = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    page: str = QUEUE_PAGE

    def explanation(self, since: datetime) -> dict[str, Any]:
        """The facts that an alert stores."""
        figures = [{"label": label, "value": value} for label, value in self.figures]
        return {**self.facts, "since": since.isoformat(), "figures": figures, "page": self.page}


def queue_problems(
    owner: int | None, queue: Pressure, rules: AlertRules, now: datetime, *, fails_already: bool
) -> Iterator[Problem]:
    """Latency, error rate and depth of one organization, or of all for None.

    `fails_already`: an error rate alert is open. It needs the minimum number of requests to begin, and ends when the
    errors end.
    """
    waits_s = queue.longest_wait_s(now)
    if rules.max_wait_s and waits_s > rules.max_wait_s:
        yield _latency(owner, queue, waits_s, rules.max_wait_s)
    is_enough = queue.ended >= rules.min_requests or fails_already
    if rules.max_error_percent and is_enough and queue.error_percent > rules.max_error_percent:
        yield _error_rate(owner, queue, rules.max_error_percent, now)
    if rules.max_depth and queue.waiting > rules.max_depth:
        yield _depth(owner, queue, rules.max_depth)


def _latency(owner: int | None, queue: Pressure, waits_s: float, limit_s: int) -> Problem:
    models = waiting_models(owner)
    return Problem(
        name=AlertKind.QUEUE_LATENCY,
        kind=AlertKind.QUEUE_LATENCY,
        severity=Severity.HIGH,
        message=(
            f"The oldest request that could start has waited {_seconds(waits_s)}; the limit is {_seconds(limit_s)}. "
            f"{_are_waiting(queue.ready)} to start."
        ),
        figures=[
            ("Requests that could start", f"{queue.ready:,}"),
            *([("At a provider limit", f"{queue.limited:,}")] if queue.limited else []),
            *_waiting(models),
        ],
        facts={
            "waiting": queue.waiting,
            "ready": queue.ready,
            "limited": queue.limited,
            "longestWaitSeconds": round(waits_s, 1),
            "limitSeconds": limit_s,
            "models": _named(models),
        },
    )


def _error_rate(owner: int | None, queue: Pressure, limit: int, now: datetime) -> Problem:
    causes = recent_failures(owner, now)
    return Problem(
        name=AlertKind.ERROR_RATE,
        kind=AlertKind.ERROR_RATE,
        severity=Severity.HIGH,
        message=(
            f"{queue.error_percent:.3g}% of the requests of the last {MINUTES} minutes failed: {queue.failed:,} of "
            f"{queue.ended:,}. The limit is {limit}%."
        ),
        figures=[(f"{code or 'UNKNOWN'} at {model}", plural(count, "request")) for code, model, count in causes],
        facts={
            "failed": queue.failed,
            "ended": queue.ended,
            "errorPercent": round(queue.error_percent, 2),
            "limitPercent": limit,
            "errors": [{"code": code, "model": model, "requests": count} for code, model, count in causes],
        },
        page=FAILED_PAGE,
    )


def _depth(owner: int | None, queue: Pressure, limit: int) -> Problem:
    models = waiting_models(owner)
    return Problem(
        name=AlertKind.QUEUE_DEPTH,
        kind=AlertKind.QUEUE_DEPTH,
        severity=Severity.MEDIUM,
        message=f"{_are_waiting(queue.waiting)} in the queue; the limit is {limit:,}.",
        figures=_waiting(models),
        facts={"waiting": queue.waiting, "limit": limit, "models": _named(models)},
    )


def provider_problems(circuits: Sequence[BreakerState]) -> Iterator[Problem]:
    """Providers with a model whose circuit is open. One query if there are any."""
    down = {
        provider: [circuit.model for circuit in group]
        for provider, group in groupby(
            (circuit for circuit in circuits if circuit.state == CircuitState.OPEN), key=lambda each: each.provider
        )
    }
    waiting = waiting_by_provider(down) if down else {}
    for provider, models in down.items():
        yield _provider(provider, models, waiting.get(provider, 0))


def _provider(provider: str, models: list[str], waiting: int) -> Problem:
    return Problem(
        name=provider_name(provider),
        kind=AlertKind.PROVIDER_DOWN,
        severity=Severity.CRITICAL,
        message=(
            f"{provider} is down: calls to {', '.join(models)} failed repeatedly and are on hold. "
            f"{_are_waiting(waiting)} for {provider}."
        )[:500],
        figures=[("Models", ", ".join(models)), ("Requests waiting", f"{waiting:,}")],
        facts={"provider": provider, "models": models, "waiting": waiting},
        page=PROVIDERS_PAGE,
    )


def provider_name(provider: str) -> str:
    """The name of the problem that a provider is down."""
    return f"{AlertKind.PROVIDER_DOWN}:{provider}"


def on_probation(circuits: Sequence[BreakerState]) -> set[str]:
    """Names of provider problems that may be over: the pause has passed, but no call has confirmed it yet."""
    return {provider_name(each.provider) for each in circuits if each.state == CircuitState.HALF_OPEN}


def health_problems(health: Health) -> Iterator[Problem]:
    """The problem that the installation is degraded, with every failing check."""
    if health.status == "healthy":
        return
    reasons = list(_reasons(health))
    yield Problem(
        name=AlertKind.SYSTEM_HEALTH,
        kind=AlertKind.SYSTEM_HEALTH,
        severity=Severity.HIGH,
        message=f"The installation is degraded: {'; '.join(reasons)}."[:500],
        figures=[
            *((name.replace("_", " ").capitalize(), "fails") for name, is_there in health.checks if not is_there),
            ("Requests waiting", f"{health.queue.pending:,}"),
        ],
        facts={
            "checks": health.checks.model_dump(by_alias=True),
            "workers": health.queue.workers,
            "waiting": health.queue.pending,
        },
    )


def _reasons(health: Health) -> Iterator[str]:
    """The failing checks. Without Redis the workers are unknown, so nothing is said about them."""
    if not health.checks.database:
        yield health.database_problem or "the database is unreachable"
    if not health.checks.redis:
        yield health.redis_problem or "Redis is unreachable"
    elif not health.queue.workers:
        yield "no worker is running"
    elif not health.checks.queue:
        yield "requests are waiting although workers have free slots"
    if not health.providers:
        yield "no provider is configured"
    for provider in health.providers:
        if not provider.healthy:
            models = [each.model for each in provider.breakers if each.state == "open"]
            yield f"calls to {provider.name} are on hold ({', '.join(models)})"


def _waiting(models: list[tuple[str, int]]) -> Figures:
    return [(f"Waiting for {model}", f"{count:,}") for model, count in models]


def _named(models: list[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"model": model, "requests": count} for model, count in models]


def _are_waiting(number: int) -> str:
    return f"{plural(number, 'request') if number else 'No requests'} {'is' if number == 1 else 'are'} waiting"


def _seconds(seconds: float) -> str:
    return duration_ms(seconds * 1000)
