"""The cost engine's contract for Python callers: an organization's slug and plain mappings in, frozen results out.

Arguments obey the rules of `/api/ai/cost`, and keys of mappings may be camelCase or snake_case. Every operation raises
InvalidValueError for what those rules refuse and UnknownOrganizationError; nothing was stored then. Money comes back as
US dollars in an exact Decimal.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic.alias_generators import to_snake

from aiinfra.python_api import PYTHON, InvalidValueError, checked, organization_named, result_of
from aiinfra.tenants.scope import organization_scope
from cost_app.alerts import api as alerts
from cost_app.alerts.results import BudgetAlert
from cost_app.budgets import api as budgets
from cost_app.budgets import manage
from cost_app.budgets.terms import BudgetTermsError
from cost_app.ledger.rollups import fold_organization
from cost_app.ledger.tracking import ReportedTooLateError, ReportTooLargeError
from cost_app.python_payloads import AlertsArguments, BudgetArguments, TrackArguments
from cost_app.recommendations import api as advice
from cost_app.recommendations.payloads import ChoiceQuery, RecommendationsQuery
from cost_app.recommendations.results import OptimizationRecommendation, ProviderRecommendation
from cost_app.spend import api as metrics
from cost_app.spend.payloads import MetricsQuery
from cost_app.spend.results import CostMetrics, TrackedRequest


def track_request(
    organization_id: str,
    provider: str,
    model: str,
    usage: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> TrackedRequest:
    """Book a call made outside aiinfra; every budget counts it, none refuses it.

    `usage` has promptTokens and completionTokens, and may have totalTokens, cacheReadTokens, cacheWriteTokens,
    cacheWrite1hTokens, reasoningTokens and toolUses. `metadata` may have latency (ms), cached, userId, priority,
    success, tags, externalId, at (a datetime with its zone, or ISO 8601), tier (standard, batch, flex, priority or
    scale), batch and cost (what the provider reports, in dollars: a Decimal, a number or a decimal string). With an
    externalId, a repeat books nothing. Raises ModelNotPricedError, and ReportConflictError for an externalId that was
    already used for another call.
    """
    raw = {"provider": provider, "model": model, "usage": usage, "metadata": {} if metadata is None else metadata}
    call = checked(TrackArguments, raw, also=(datetime, Decimal))
    organization = organization_named(organization_id)
    try:
        with organization_scope(organization.id):
            return result_of(TrackedRequest, metrics.tracked(organization.id, call, call.metadata))
    except ReportedTooLateError as error:
        raise InvalidValueError("metadata.at", str(error)) from None
    except ReportTooLargeError as error:
        raise InvalidValueError("usage", str(error)) from None


def get_cost_metrics(
    organization_id: str, period: str = "daily", limit: int = 30, *, by: str | None = None
) -> list[CostMetrics]:
    """The last periods (hourly, daily, weekly, monthly), newest first, including those without a call.

    At most as many as the organization keeps. `by` adds the groups of a dimension: provider, model, api_key, user,
    priority or tag. Calls tracked before this one are included: pending entries are folded first.
    """
    query = checked(MetricsQuery, {"period": period, "limit": limit, "by": "apiKey" if by == "api_key" else by})
    organization = organization_named(organization_id)
    fold_organization(organization.id)
    with organization_scope(organization.id):
        return [result_of(CostMetrics, each) for each in metrics.metrics_page(organization.id, query).metrics]


def set_budget(organization_id: str, budget: Mapping[str, Any]) -> str:
    """Create the budget of a period and scope, or change the existing one; returns its ID.

    `budget` has period (daily, weekly, monthly) and limit (dollars: a Decimal, a number or a decimal string), and may
    have warningThreshold and alertThreshold (percent), rolloverUnused, rolloverCap, enforcement (warn, block,
    downgrade), scope and countFrom (period or now, for a new budget). Omitted fields get their defaults.
    """
    payload = checked(BudgetArguments, {"budget": budget}, also=(Decimal,)).budget
    organization = organization_named(organization_id)
    try:
        made = manage.set_budget(
            organization_id=organization.id,
            terms=budgets.terms_from(payload),
            from_now=payload.count_from == "now",
            actor=PYTHON,
        )
    except BudgetTermsError as refusal:
        name = budgets.FIELDS.get(refusal.field, refusal.field)
        raise InvalidValueError(f"budget.{name if name in budget else to_snake(name)}", str(refusal)) from None
    return str(made.id)


def get_alerts(organization_id: str, acknowledged: bool | None = False) -> list[BudgetAlert]:
    """The newest 100 unresolved alerts: unacknowledged, acknowledged, or both for None."""
    wanted = checked(AlertsArguments, {"acknowledged": acknowledged}).acknowledged
    organization = organization_named(organization_id)
    with organization_scope(organization.id):
        return [result_of(BudgetAlert, each) for each in alerts.alert_list(organization.id, wanted).alerts]


def get_recommendations(organization_id: str, status: str = "open") -> list[OptimizationRecommendation]:
    """At most 100 recommendations in a state (open, applied, dismissed, expired), largest savings first.

    Savings overlap and cannot be added up.
    """
    query = checked(RecommendationsQuery, {"status": status})
    organization = organization_named(organization_id)
    with organization_scope(organization.id):
        found = advice.recommendation_list(query).recommendations
    return [result_of(OptimizationRecommendation, each) for each in found]


def get_optimal_provider(organization_id: str, request_type: str, priority: str = "normal") -> ProviderRecommendation:
    """The model to send a simple, complex or creative request to, with reasons and alternatives.

    Raises NoModelError, a LookupError, if the organization allows no model that is priced and configured.
    """
    query = checked(ChoiceQuery, {"request_type": request_type, "priority": priority})
    organization = organization_named(organization_id)
    with organization_scope(organization.id):
        return result_of(ProviderRecommendation, advice.choice_out(organization.id, query))
