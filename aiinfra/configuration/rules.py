"""Checks settings against each other."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from aiinfra.configuration.setting import Setting, Values
from aiinfra.configuration.table import places, providers, queue, security, tracing

PORT_MAX = 65_535
TOKEN_MIN = 32
HEAD_STARTS = (
    queue.QUEUE_HEAD_START_LOW_S,
    queue.QUEUE_HEAD_START_NORMAL_S,
    queue.QUEUE_HEAD_START_HIGH_S,
    queue.QUEUE_HEAD_START_CRITICAL_S,
)


def check_together(values: Values) -> None:
    """Report every setting that conflicts with another one."""
    _check_ports(values)
    _check_at_most(values, queue.QUEUE_CONTENT_RETENTION_DAYS, queue.QUEUE_RETENTION_DAYS)
    _check_at_most(values, providers.RETRY_BASE_S, providers.RETRY_MAX_S)
    _check_at_most(values, tracing.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, tracing.OTEL_BSP_MAX_QUEUE_SIZE)
    for lower, higher in pairwise(HEAD_STARTS):
        _check_at_most(values, lower, higher)
    _check_upstash(values)
    _check_traced_providers(values)
    if 0 < len(values[security.METRICS_TOKEN]) < TOKEN_MIN:
        values.refuse(security.METRICS_TOKEN, f"must have at least {TOKEN_MIN} characters")


def _check_at_most(values: Values, lower: Setting[Any], higher: Setting[Any]) -> None:
    """Report the setting that the operator set; if they set neither, the defaults are consistent."""
    if values[lower] <= values[higher]:
        return
    if values.is_set(higher) and not values.is_set(lower):
        values.refuse(higher, f"must be at least {lower.name} ({values[lower]:g})")
    else:
        values.refuse(lower, f"must be at most {higher.name} ({values[higher]:g})")


def _check_ports(values: Values) -> None:
    uses = list(_derived_ports(values))
    if too_high := [use for port, use in uses if port > PORT_MAX]:
        room = 2 if len(too_high) == 2 or "PORT + 2" in too_high[0] else 1
        values.refuse(places.PORT, f"must be at most {PORT_MAX - room}: {' and '.join(too_high)}")
    taken = {values[places.PORT], *(port for port, _ in uses)}
    if providers.uses_own_sandbox(values) and values.text(providers.SANDBOX_PORT) in map(str, taken):
        values.refuse(providers.SANDBOX_PORT, "must differ from PORT and from the port of Redis (PORT + 1)")


def _derived_ports(values: Values) -> Iterator[tuple[int, str]]:
    if places.uses_bundled_redis(values):
        yield values[places.PORT] + 1, "Redis listens on PORT + 1"
    if providers.uses_own_sandbox(values) and not values.is_set(providers.SANDBOX_PORT):
        yield values[places.PORT] + 2, "the sandbox listens on PORT + 2"


def _check_upstash(values: Values) -> None:
    """REDIS_URL takes precedence, so nothing is wrong if it is set."""
    both = (places.UPSTASH_REDIS_REST_URL, places.UPSTASH_REDIS_REST_TOKEN)
    missing = [setting for setting in both if not values.is_set(setting)]
    if len(missing) == 1 and not values.is_set(places.REDIS_URL):
        other = next(setting for setting in both if values.is_set(setting))
        values.errors.append(f"{missing[0].name} must be set together with {other.name}, or REDIS_URL instead of both")


def _check_traced_providers(values: Values) -> None:
    known = {*providers.PROVIDERS, *values[providers.AIINFRA_COMPATIBLE_PROVIDERS]}
    if unknown := [name for name in values[tracing.TRACED_PROVIDERS] if name not in known]:
        values.refuse(tracing.TRACED_PROVIDERS, f"must name configured providers, not {unknown[0]!r}")
