"""`/metrics` in Prometheus's text format.

An API key with the scope `metrics:read` reads the metrics of its organization. `METRICS_TOKEN` reads all of them.
"""

import hmac
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from aiinfra.api import ApiCall, ApiModel, Endpoint, NoParameters, Operation
from aiinfra.metrics.reading import recorded_metrics
from aiinfra.monitoring.metrics.state import state_metrics
from aiinfra.tenants.models import Organization

READING = ("GET", "HEAD")


def organization_metrics(organization_id: int, slug: str) -> Iterator[Metric]:
    """Metrics of one organization, and those that describe the installation without its other organizations."""
    slugs = {str(organization_id): slug}
    yield from recorded_metrics(slugs, only=True)
    yield from state_metrics(slugs, organization_id)


def installation_metrics() -> Iterator[Metric]:
    """Metrics of all organizations, labeled with their slugs."""
    slugs = _slugs()
    yield from recorded_metrics(slugs)
    yield from state_metrics(slugs, None)


def get_metrics(call: ApiCall, _payload: NoParameters) -> HttpResponse:
    """The metrics of the caller's organization."""
    return _text(organization_metrics(call.principal.organization_id, call.principal.organization_slug))


class MetricsEndpoint(Endpoint):
    """The endpoint for API keys. A request with `METRICS_TOKEN` has its response before it comes here."""

    is_in_schema = False


def scraped(request: HttpRequest) -> HttpResponse | None:
    """All metrics for a request with `METRICS_TOKEN`, whatever its host name; None for any other request."""
    return _text(installation_metrics()) if request.method in READING and _has_token(request) else None


def recorded_scraped(request: HttpRequest) -> HttpResponse | None:
    """Like `scraped`, but only with the metrics that processes of this data directory have recorded."""
    return _text(recorded_metrics(_slugs())) if request.method in READING and _has_token(request) else None


def _slugs() -> dict[str, str]:
    return {str(pk): slug for pk, slug in Organization.objects.values_list("pk", "slug")}


def _has_token(request: HttpRequest) -> bool:
    if not settings.METRICS_TOKEN:
        return False
    sent = request.META.get("HTTP_AUTHORIZATION", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())


class _Once(Collector):
    """Lets prometheus-client write out metrics that are already there."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics


def _text(metrics: Iterable[Metric]) -> HttpResponse:
    registry = CollectorRegistry()
    registry.register(_Once(metrics))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


metrics_endpoint = MetricsEndpoint(
    {("GET", None): Operation(get_metrics, "metrics:read", NoParameters, ApiModel, "Get metrics for Prometheus")}
)
