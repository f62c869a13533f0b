"""Latency and failures of provider calls, from hourly and minute counts. Never reads raw calls."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from django.db.models import QuerySet, Sum
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import ModelHour, ModelMinute, ModelState
from cost_app.performance.counting import HOURS_KEPT, MINUTES_KEPT
from cost_app.performance.histogram import Histogram, merged, percentile

HOURS_MAX = HOURS_KEPT // timedelta(hours=1)
DEFAULT_HOURS = 24


@dataclass
class Performance:
    """Statistics of calls to one model. Latencies of successful calls in ms, None if there were none."""

    provider: str
    model: str
    calls: int = 0
    failures: int = 0
    timed_calls: int = 0
    latency_ms: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    latencies: Histogram = field(default_factory=dict)

    @property
    def average(self) -> float | None:
        """The exact mean, in ms."""
        return self.latency_ms / self.timed_calls if self.timed_calls else None

    @property
    def p50(self) -> float | None:
        """The median in ms, within 2.4%."""
        return percentile(self.latencies, 50)

    @property
    def p95(self) -> float | None:
        """The 95th percentile in ms, within 2.4%."""
        return percentile(self.latencies, 95)

    @property
    def p99(self) -> float | None:
        """The 99th percentile in ms, within 2.4%."""
        return percentile(self.latencies, 99)

    @property
    def error_rate(self) -> float | None:
        """The failed calls in percent. None without calls."""
        return 100 * self.failures / self.calls if self.calls else None


def performance(hours: int = DEFAULT_HOURS, provider: str = "", model: str = "") -> list[Performance]:
    """The models that the organizations in scope called within the last hours, by name. The first hour counts
    completely. One query over one row per model and hour.
    """
    found: dict[tuple[str, str], Performance] = {}
    for row in _hours(hours, provider, model).iterator():
        each = found.setdefault((row.provider, row.model), Performance(row.provider, row.model))
        each.calls += row.calls
        each.failures += row.failures
        each.timed_calls += row.timed_calls
        each.latency_ms += row.latency_ms
        each.errors = merged([each.errors, row.errors])
        each.latencies = merged([each.latencies, row.latencies])
    return [found[name] for name in sorted(found)]


def performance_by_hour(hours: int = DEFAULT_HOURS) -> dict[datetime, list[Performance]]:
    """The same per hour that had calls, oldest first. One query."""
    found: dict[datetime, list[Performance]] = {}
    for row in _hours(hours, "", "").order_by("hour", "provider", "model"):
        columns = {each.name: getattr(row, each.name) for each in fields(Performance)}
        found.setdefault(row.hour, []).append(Performance(**columns))
    return found


def average_latency(
    provider: str, hours: int = DEFAULT_HOURS, *, model: str = "", organization_id: str | None = None
) -> float | None:
    """Mean latency in ms of a provider's successful calls within the last hours. None without calls.

    `organization_id` is a slug; without it, the calls of all organizations count. One query.
    Raises LookupError for an unknown organization.
    """
    with _scope(organization_id):
        sums = _hours(hours, provider, model).aggregate(ms=Sum("latency_ms"), calls=Sum("timed_calls"))
    return sums["ms"] / sums["calls"] if sums["calls"] else None


def _scope(slug: str | None) -> AbstractContextManager[None]:
    if slug is None:
        return system_scope()
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise LookupError(f"Unknown organization {slug!r}.")
    return organization_scope(organization.id)


def _hours(hours: int, provider: str, model: str) -> QuerySet[ModelHour]:
    since = (timezone.now() - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)
    rows = ModelHour.objects.filter(hour__gte=since)
    narrowed = {"provider": provider, "model": model}
    return rows.filter(**{name: value for name, value in narrowed.items() if value})


def model_states() -> list[ModelState]:
    """The latest results of the organization in scope, by model."""
    return list(ModelState.objects.order_by("provider", "model"))


def model_minutes(span: timedelta) -> list[ModelMinute]:
    """Counts per minute of the organization in scope since `since`, oldest first. Kept for a day."""
    since = timezone.now() - min(span, MINUTES_KEPT)
    return list(ModelMinute.objects.filter(minute__gt=since).defer("latencies").order_by("minute", "provider", "model"))
