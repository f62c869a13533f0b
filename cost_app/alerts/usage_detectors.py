"""Detects doubtful usage that providers sent today: one cause per provider, model or tier, and day."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from cost_app.alerts.cause import Cause
from cost_app.calendar import Calendar
from cost_app.models import AlertKind, Attempt, Severity, UsageIssue

MODELS_MAX = 100


def usage_issues(organization_id: int, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    """Providers without usable counts, tiers and tools without a price, and provider-reported costs that differ from
    ours.
    """
    today = calendar.day_of(now)
    calls = Attempt.objects.filter(organization_id=organization_id, created_at__gte=calendar.begin_of(today))
    doubtful = calls.exclude(usage_issue="").order_by("provider", "model", "tier")
    found: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for issue, *place in doubtful.values_list("usage_issue", "provider", "model", "tier").distinct()[:MODELS_MAX]:
        found[issue].add((place[0], place[1], place[2]))
    for provider in sorted({provider for provider, _, _ in found[UsageIssue.NO_USAGE]}):
        yield _no_usage(provider, f"usage:{provider}:{today}")
    for provider, model, tier in sorted(found[UsageIssue.TIER_UNPRICED]):
        yield _unpriced_tier(f"{provider}/{model}", tier)
    for name in sorted({f"{provider}/{model}" for provider, model, _ in found[UsageIssue.TOOL_UNPRICED]}):
        yield _unpriced_tool(name)
    for name in sorted({f"{provider}/{model}" for provider, model, _ in found[UsageIssue.COST_DIFFERS]}):
        yield _other_cost(name, f"cost:{name}:{today}")


def _no_usage(provider: str, name: str) -> Cause:
    return Cause(
        name=name,
        kind=AlertKind.USAGE_MISSING,
        severity=Severity.MEDIUM,
        message=f"{provider} sent no usable token counts for some calls today. Their cost is estimated.",
        facts={"provider": provider},
    )


def _unpriced_tier(model: str, tier: str) -> Cause:
    return Cause(
        name=f"price:{model}:{tier}",
        kind=AlertKind.PRICE_MISSING,
        severity=Severity.HIGH,
        message=f"{model} answered in the tier {tier} today, which has no price. Another tier's price applies.",
        facts={"model": model, "tier": tier},
    )


def _unpriced_tool(model: str) -> Cause:
    return Cause(
        name=f"price:{model}:tools",
        kind=AlertKind.PRICE_MISSING,
        severity=Severity.HIGH,
        message=f"{model} used a tool today that has no fee in the price book. The computed cost does not include it.",
        facts={"model": model},
    )


def _other_cost(model: str, name: str) -> Cause:
    return Cause(
        name=name,
        kind=AlertKind.COST_DIFFERS,
        severity=Severity.MEDIUM,
        message=f"The costs that the provider of {model} reported today differ from the price book.",
        facts={"model": model},
    )
