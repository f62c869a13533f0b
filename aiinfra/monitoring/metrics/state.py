"""Metrics of the current state, read from the database and Redis on each scrape.

They are the same on every host. No query reads ended requests, ledger rows, or windows that are over. What cannot be
read is left out.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import get_args

from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from redis.exceptions import RedisError

from aiinfra.money import dollars
from aiinfra.monitoring import clocks
from aiinfra.providers import breaker
from aiinfra.providers.breaker import CircuitState
from cost_app import create_cost_optimizer
from queue_app.facade import PriorityName, lanes_now, totals_ended, workers

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

PRIORITIES = get_args(PriorityName)
LANE = ["organization", "priority"]
BUDGET = ["organization", "budget", "period", "scope", "subject"]
Slugs = Mapping[str, str]


def state_metrics(slugs: Slugs, organization_id: int | None) -> Iterator[Metric]:
    """Everything about one organization, or about all for None. Installation-wide metrics are the same for both."""
    of_organizations: list[Callable[[Slugs, int | None], Iterator[Metric]]] = [_queue, _requests, _budgets]
    for read in of_organizations:
        yield from _readable(lambda read=read: read(slugs, organization_id))  # type: ignore[misc]
    for read_all in (_workers, _breakers, _database_clock, _redis_clock):
        yield from _readable(read_all)


def _readable(read: Callable[[], Iterator[Metric]]) -> list[Metric]:
    try:
        return list(read())
    except (DatabaseError, RedisError):
        logger.warning("metrics are incomplete", exc_info=True)
        return []


def _queue(slugs: Slugs, organization_id: int | None) -> Iterator[Metric]:
    depth = GaugeMetricFamily("aiinfra_queue_depth", "Requests waiting to start.", labels=LANE)
    age = GaugeMetricFamily(
        "aiinfra_queue_oldest_age_seconds", "Time since the oldest waiting request was accepted.", labels=LANE
    )
    running = GaugeMetricFamily("aiinfra_requests_in_progress", "Requests that are being processed.", labels=LANE)
    now = timezone.now()
    lanes = {(lane.organization_id, lane.priority, lane.status): lane for lane in lanes_now(organization_id)}
    for owner, priority in product(map(int, slugs), PRIORITIES):
        labels = [slugs[str(owner)], priority]
        waiting, processing = (lanes.get((owner, priority, status)) for status in ("pending", "processing"))
        depth.add_metric(labels, waiting.count if waiting else 0)
        age.add_metric(labels, max((now - waiting.oldest_at).total_seconds(), 0) if waiting else 0)
        running.add_metric(labels, processing.count if processing else 0)
    yield from (depth, age, running)


def _requests(slugs: Slugs, organization_id: int | None) -> Iterator[Metric]:
    ended = CounterMetricFamily("aiinfra_requests", "Requests that ended, by status.", labels=[*LANE, "status"])
    for owner, priority, status, count in totals_ended(organization_id):
        ended.add_metric([_slug(slugs, owner), priority, status], count)
    yield ended


def _budgets(slugs: Slugs, organization_id: int | None) -> Iterator[Metric]:
    """`float` because Prometheus has no other numbers."""
    limit = GaugeMetricFamily("aiinfra_budget_limit_dollars", "Limit of the current period.", labels=BUDGET)
    left = GaugeMetricFamily(
        "aiinfra_budget_remaining_dollars",
        "What is neither spent nor reserved in the current period. Negative if a budget that only warns is exceeded.",
        labels=BUDGET,
    )
    for each in cost.budgets_left(organization_id):
        labels = [_slug(slugs, each.organization_id), str(each.budget_id), each.period, each.scope, each.subject]
        limit.add_metric(labels, float(dollars(each.limit_nano)))
        left.add_metric(labels, float(dollars(each.free_nano)))
    yield from (limit, left)


def _workers() -> Iterator[Metric]:
    beats = workers()
    yield GaugeMetricFamily("aiinfra_workers", "Worker processes of all hosts.", value=len(beats))
    yield GaugeMetricFamily("aiinfra_worker_slots", "Calls that workers can make at once.", sum(b.slots for b in beats))
    yield GaugeMetricFamily("aiinfra_worker_slots_busy", "Slots in use.", sum(b.busy for b in beats))


def _breakers() -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "aiinfra_breaker_state",
        "Circuit breaker of a model: 0 is closed, 1 is half-open, 2 is open.",
        labels=["provider", "model"],
    )
    levels = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}
    for circuit in breaker.states():
        state.add_metric([circuit.provider, circuit.model], levels[circuit.state])
    yield state


def _database_clock() -> Iterator[Metric]:
    yield _skew("database", clocks.database_skew_s())


def _redis_clock() -> Iterator[Metric]:
    yield _skew("redis", clocks.redis_skew_s())


def _skew(clock: str, seconds: float) -> Metric:
    return GaugeMetricFamily(
        f"aiinfra_{clock}_clock_skew_seconds", "How far this clock is ahead of the web server's.", value=seconds
    )


def _slug(slugs: Slugs, organization_id: int) -> str:
    return slugs.get(str(organization_id), str(organization_id))
