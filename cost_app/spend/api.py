"""The JSON operations of spend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.money import dollars
from cost_app.budgets.windows import OpenWindow
from cost_app.ledger.tracking import (
    ReportConflictError,
    ReportedTooLateError,
    ReportTooLargeError,
    TrackedCall,
    track_request,
)
from cost_app.models import BudgetScope, Dimension
from cost_app.policy import zone_of
from cost_app.prices.lookup import ModelNotPricedError
from cost_app.spend.forecast import Forecast
from cost_app.spend.payloads import (
    BudgetOut,
    CallFacts,
    ForecastOut,
    GroupOut,
    MetricsOut,
    MetricsPage,
    MetricsQuery,
    SummaryOut,
    SummaryQuery,
    TokensOut,
    Tracked,
    TrackedCallIn,
    TrackRequest,
)
from cost_app.spend.screens import public_values
from cost_app.spend.series import OTHERS, Breakdown, CostMetrics, Totals, get_cost_metrics
from cost_app.spend.summary import summary

DIMENSIONS = {"apiKey": "api_key"}
"""Groups whose API name differs from the dimension."""
REST = "*"
"""API name of all further groups together; no group has this name."""
PRIORITIES = {"critical": 1000, "high": 500, "normal": 100, "low": 10}


def get_summary(call: ApiCall, _payload: SummaryQuery) -> SummaryOut:
    """The current month."""
    month = summary(call.principal.organization_id)
    return SummaryOut(
        **_totals(month.totals),
        from_day=month.first,
        to_day=month.end,
        forecast=_forecast(month.forecast),
        budgets=_budgets(month.budgets),
        by_provider=_breakdown(month.by_provider),
        by_model=_breakdown(month.by_model),
    )


def get_metrics(call: ApiCall, payload: MetricsQuery) -> MetricsPage:
    """The last periods, newest first."""
    return metrics_page(call.principal.organization_id, payload)


def metrics_page(organization_id: int, payload: MetricsQuery) -> MetricsPage:
    """The organization's last periods, in its scope."""
    by = DIMENSIONS.get(payload.by or "", payload.by)
    found = get_cost_metrics(organization_id, payload.period, payload.limit, by=by)
    return MetricsPage(
        period=payload.period,
        time_zone=zone_of(organization_id).key,
        metrics=_periods(found, Dimension(by) if by else None),
    )


def track(call: ApiCall, payload: TrackRequest) -> Tracked:
    """Book a call that was made outside aiinfra."""
    principal = call.principal
    facts = payload.model_copy(update={"external_id": payload.external_id or call.idempotency_key})
    try:
        return tracked(principal.organization_id, payload, facts, api_key_id=principal.api_key_id)
    except ModelNotPricedError as error:
        raise ApiError(422, "model_not_priced", str(error), param="model") from None
    except ReportedTooLateError as error:
        raise ApiError(400, "invalid_request", str(error), param="at") from None
    except ReportTooLargeError as error:
        raise ApiError(422, "invalid_request", str(error), param="usage") from None
    except ReportConflictError as error:
        raise ApiError(409, "idempotency_conflict", str(error), param="externalId") from None


def tracked(organization_id: int, called: TrackedCallIn, facts: CallFacts, *, api_key_id: int | None = None) -> Tracked:
    """Book a reported call, in its organization's scope; raises as `ledger.tracking.track_request` does."""
    call = TrackedCall(
        latency_ms=facts.latency,
        cached=facts.cached,
        user_ref=facts.user_id,
        priority=PRIORITIES[facts.priority] if facts.priority else None,
        success=facts.success,
        tags=facts.tags,
        external_id=facts.external_id,
        api_key_id=api_key_id,
        at=facts.at,
    )
    usage = replace(called.usage.token_usage(), tier=facts.served_tier, reported_nano=facts.cost)
    attempt = track_request(organization_id, called.provider, called.model, usage, call)
    return Tracked(attempt_id=str(attempt.id), cost=dollars(attempt.cost_nano), is_priced=attempt.price_id is not None)


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "total_cost": dollars(totals.nano),
        "total_requests": totals.calls,
        "total_tokens": totals.tokens,
        "tokens": TokensOut(
            input=totals.input_tokens,
            cache_read=totals.cache_read_tokens,
            cache_write=totals.cache_write_tokens,
            output=totals.output_tokens,
            reasoning=totals.reasoning_tokens,
        ),
        "failed_requests": totals.errors,
        "cache_hits": totals.cache_hits,
        "cache_hit_rate": totals.cache_hit_rate,
        "saved_cost": dollars(totals.saved_nano),
        "cost_per_request": None if totals.nano_per_call is None else dollars(totals.nano_per_call),
        "error_rate": totals.error_rate,
        "average_latency_ms": totals.average_latency_ms,
    }


def _periods(found: Sequence[CostMetrics], by: Dimension | None) -> list[MetricsOut]:
    values = {value for each in found for value in each.groups}
    names = {**public_values(by, values - {OTHERS}), OTHERS: REST} if by else {}
    return [_metrics(each, names if by else None) for each in found]


def _metrics(each: CostMetrics, names: Mapping[str, str] | None) -> MetricsOut:
    groups = [GroupOut(value=(names or {})[value], **_totals(each.groups[value])) for value in sorted(each.groups)]
    return MetricsOut(
        **_totals(each.totals),
        start=each.starts_at,
        end=each.ends_at,
        is_over=each.is_over,
        groups=None if names is None else groups,
    )


def _breakdown(found: Breakdown) -> list[GroupOut]:
    """The groups with the highest cost, and the rest in one line, so that the costs add up to the total."""
    groups = {**found.groups, **({REST: found.others} if found.others else {})}
    return [GroupOut(value=value, **_totals(totals)) for value, totals in groups.items()]


def _forecast(found: Forecast | None) -> ForecastOut | None:
    if found is None:
        return None
    return ForecastOut(
        expected=dollars(found.nano),
        low=dollars(found.low_nano),
        high=dollars(found.high_nano),
        learned_from_days=found.days,
    )


def _budgets(windows: Sequence[OpenWindow]) -> list[BudgetOut]:
    keys = [each.window.budget.scope_value for each in windows if each.window.budget.scope == BudgetScope.API_KEY]
    names = public_values(Dimension.API_KEY, keys) if keys else {}
    return [_budget(each, names) for each in windows]


def _budget(each: OpenWindow, key_ids: Mapping[str, str]) -> BudgetOut:
    window = each.window
    is_key = window.budget.scope == BudgetScope.API_KEY
    return BudgetOut(
        budget_id=str(window.budget_id),
        period=window.budget.period,
        scope=window.budget.scope,
        scope_value=key_ids[window.budget.scope_value] if is_key else window.budget.scope_value,
        limit=dollars(each.limit_nano),
        spent=dollars(window.committed_nano),
        held=dollars(window.reserved_nano),
        free=dollars(each.free_nano),
        resets_at=window.ends_at,
    )


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "summary"): Operation(get_summary, "cost:read", SummaryQuery, SummaryOut, "Get the current month's spend"),
    ("GET", "metrics"): Operation(get_metrics, "cost:read", MetricsQuery, MetricsPage, "Get spend by period"),
    ("POST", "track"): Operation(
        track, "usage:write", TrackRequest, Tracked, "Report usage of calls made outside aiinfra", once="own"
    ),
}
