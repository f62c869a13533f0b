"""What is known about models from the organization's own traffic, and its current budgets and circuits.

Bounded reads: a week of daily rollups, the newest 2,000 calls, one row per budget.
"""

from dataclasses import dataclass
from datetime import timedelta
from statistics import median_low

from django.db.models import Sum
from django.utils import timezone

from aiinfra.providers import breaker
from aiinfra.providers.base import TokenUsage
from aiinfra.providers.breaker import CircuitState
from aiinfra.tenants.scope import organization_in_scope
from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.calendar import Calendar
from cost_app.models import Attempt, AttemptState, BudgetScope, Dimension, Enforcement, UsageDay
from cost_app.policy import zone_of
from cost_app.recommendations.pricing import Model

DAYS = 7
NEWEST_CALLS = 2_000
FEWEST_CALLS = 20
"""With fewer calls, a figure is assumed instead of measured."""
ASSUMED_USAGE = TokenUsage(input=500, output=300)


@dataclass(frozen=True)
class Measures:
    """A model's mean latency and the share of its calls that failed, over 7 days; None: too few calls."""

    latency_ms: int | None = None
    error_rate: float | None = None


def measures_of_models(organization_id: int) -> dict[Model, Measures]:
    """Every model that the organization called within 7 days of its calendar; one query over daily rollups."""
    today = Calendar(zone_of(organization_id)).day_of(timezone.now())
    days = UsageDay.objects.filter(
        organization_id=organization_id, dimension=Dimension.MODEL, day__gt=today - timedelta(days=DAYS)
    )
    rows = (
        days.order_by()
        .values("value")
        .annotate(
            sent=Sum("calls") - Sum("cache_hits"), failed=Sum("errors"), ms=Sum("latency_ms"), timed=Sum("timed_calls")
        )
    )
    return {_model_of(row["value"]): _measures(row["sent"], row["failed"], row["ms"], row["timed"]) for row in rows}


def _measures(sent: int, failed: int, latency_ms: int, timed: int) -> Measures:
    return Measures(
        latency_ms=round(latency_ms / timed) if timed >= FEWEST_CALLS else None,
        error_rate=min(1.0, failed / sent) if sent >= FEWEST_CALLS else None,
    )


def _model_of(name: str) -> Model:
    provider, _, model = name.partition("/")
    return provider, model


def usage_of_class(organization_id: int, request_class: str) -> TokenUsage | None:
    """Median input and output tokens of a class in the organization's newest 2,000 calls; None below 20 calls."""
    newest = Attempt.objects.filter(organization_id=organization_id).order_by("-created_at")[:NEWEST_CALLS]
    rows = newest.values_list(
        "state", "request_class", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"
    )
    own = [row[2:] for row in rows if row[0] == AttemptState.SETTLED and row[1] == request_class]
    if len(own) < FEWEST_CALLS:
        return None
    return TokenUsage(input=median_low(sum(row[:3]) for row in own), output=median_low(row[3] for row in own))


def open_circuits() -> set[Model]:
    """The models whose circuit is open for the organization in scope. Also empty while Redis is down."""
    return {
        (state.provider, state.model)
        for state in breaker.states()
        if state.state == CircuitState.OPEN and (state.holds_all or organization_in_scope() in state.failing)
    }


def windows_that_refuse(organization_id: int) -> list[OpenWindow]:
    """The current windows of the organization's own and its models' budgets that block or downgrade."""
    scopes = {BudgetScope.ORGANIZATION.value, BudgetScope.MODEL.value}
    return [
        each
        for each in windows_now(organization_id)
        if each.window.enforcement != Enforcement.WARN and each.window.budget.scope in scopes
    ]


def free_nano(windows: list[OpenWindow], model: Model) -> int | None:
    """What is left for a call to this model; None if no such budget counts it."""
    counting = [each for each in windows if each.window.budget.scope_value in {"", "/".join(model)}]
    return min((each.free_nano for each in counting), default=None)
