"""Detects current problems: every cause of an alert, found in budget windows and rollups."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from django.db.models import Count, Sum

from aiinfra.plurals import plural
from aiinfra.templatetags.formats import money
from cost_app.alerts.baseline import Baseline, baseline, is_spike
from cost_app.alerts.cause import Cause
from cost_app.alerts.usage_detectors import usage_issues
from cost_app.budgets.names import budget_names
from cost_app.budgets.windows import OpenWindow
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import (
    AlertKind,
    Attempt,
    Budget,
    CostPolicy,
    Dimension,
    LedgerEntry,
    LedgerKind,
    Severity,
    UsageDay,
    UsageHour,
)
from cost_app.spend.screens import names_of, public_values

WEEK = timedelta(days=7)
WEEKS = 8
HISTORY_DAYS = 7
"""A new model or key is unusual if the organization has been active for at least this long."""
QUIET_WEEKS = 3
"""Off-hours: hours of the week without a call in this many weeks."""
NEW_MAX = 20
CALLS_MIN = 20
"""Below this, no volume is unusual."""


def budget_causes(windows: Sequence[OpenWindow]) -> Iterator[Cause]:
    """Windows that refuse calls, and windows whose spending has passed a threshold."""
    for each in windows:
        if each.is_refusing:
            yield _refusing(each)
        budget, spent, limit = each.window.budget, each.window.committed_nano, each.limit_nano
        for percent, kind, severity in (
            (budget.alert_percent, AlertKind.BUDGET_EXCEEDED, Severity.CRITICAL),
            (budget.warning_percent, AlertKind.BUDGET_WARNING, Severity.MEDIUM),
        ):
            if spent * 100 >= limit * percent and spent:
                used = spent * 100 // limit if limit > 0 else 100
                yield Cause(
                    name=f"budget:{budget.id}:{each.window.starts_at:%Y-%m-%dT%H:%M}:{kind}",
                    kind=kind,
                    severity=severity,
                    message=f"{used}% of the {_name(budget)} is used: {money(spent)} of {money(limit)}.",
                    current_nano=spent,
                    limit_nano=limit,
                    threshold_percent=percent,
                    budget=budget,
                    since=each.window.starts_at,
                )
                break


def _name(budget: Budget) -> str:
    """One query for a budget of an API key, none for others."""
    return budget_names([budget])[budget.id].in_text


def _refusing(each: OpenWindow) -> Cause:
    """A budget may refuse every call below its alert threshold, if no call fits."""
    window, budget = each.window, each.window.budget
    calls = plural(window.refused_calls, "call")
    return Cause(
        name=f"budget:{budget.id}:{window.starts_at:%Y-%m-%dT%H:%M}:refusing",
        kind=AlertKind.BUDGET_EXCEEDED,
        severity=Severity.CRITICAL,
        message=f"The {_name(budget)} is refusing calls: {calls} so far. {money(max(0, each.free_nano))} is free, "
        f"and the last one could cost {money(window.refused_nano)}.",
        current_nano=window.committed_nano,
        limit_nano=each.limit_nano,
        budget=budget,
        since=window.starts_at,
        facts={"refusedCalls": window.refused_calls},
    )


def usage_causes(organization_id: int, policy: CostPolicy, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    """Spikes of cost and volume, off-hours, new models and keys, unpriced calls, overruns and doubtful usage."""
    hours = _hours(organization_id, calendar, now)
    yield from _hour_spike(hours, policy, calendar, now)
    yield from _day_spike(organization_id, policy, calendar, now)
    yield from _volume(hours, calendar, now)
    yield from _off_hours(hours, calendar, now)
    yield from _new(organization_id, calendar, now)
    yield from _unpriced(organization_id, calendar, now)
    yield from _overruns(organization_id, calendar, now)
    yield from usage_issues(organization_id, calendar, now)


Hours = dict[datetime, tuple[int, int]]
"""Start of the hour -> (nano-dollars, calls)."""


def _hours(organization_id: int, calendar: Calendar, now: datetime) -> Hours:
    rows = UsageHour.objects.filter(
        organization_id=organization_id,
        dimension=Dimension.TOTAL,
        hour__gte=calendar.hour_of(now) - WEEKS * WEEK - timedelta(hours=2),
    )
    return {hour: (nano, calls) for hour, nano, calls in rows.values_list("hour", "nano", "calls")}


def _last_hour(calendar: Calendar, now: datetime) -> datetime:
    return calendar.hour_of(calendar.hour_of(now) - timedelta(minutes=1))


def _same_hours(hours: Hours, calendar: Calendar, hour: datetime, column: int) -> list[int]:
    """The same hour of the local clock in the weeks before, since the first call."""
    first, local = min(hours, default=hour), hour.astimezone(calendar.zone)
    before = [(local - WEEK * number).astimezone(UTC) for number in range(1, WEEKS + 1)]
    return [hours.get(each, (0, 0))[column] for each in before if each >= first]


def _hour_spike(hours: Hours, policy: CostPolicy, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    hour = _last_hour(calendar, now)
    nano = hours.get(hour, (0, 0))[0]
    usual = baseline(_same_hours(hours, calendar, hour, 0))
    before = hours.get(calendar.hour_of(hour - timedelta(minutes=1)), (0, 0))[0]
    if _is_cost_spike(nano, usual, before, policy):
        expected = usual.median if usual else before
        yield Cause(
            name=f"spike:hour:{hour:%Y-%m-%dT%H:%M}",
            kind=AlertKind.COST_SPIKE,
            severity=Severity.HIGH,
            message=f"The last full hour cost {money(nano)}; the usual cost is {money(expected)}.",
            current_nano=nano,
            limit_nano=expected,
            since=hour,
            facts={"expected": expected},
        )


def _is_cost_spike(nano: int, usual: Baseline | None, before: int, policy: CostPolicy) -> bool:
    """An outlier among the same hours of other weeks, or the simple rule: a percentage above the usual cost.

    If there are too few such hours, the previous period is the usual cost.
    """
    expected = usual.median if usual else before
    if nano - expected < policy.spike_floor_nano:
        return False
    if usual and is_spike(nano, usual):
        return True
    return expected > 0 and (nano - expected) * 100 > expected * policy.spike_percent


def _day_spike(organization_id: int, policy: CostPolicy, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    today = calendar.day_of(now)
    rows = UsageDay.objects.filter(organization_id=organization_id, dimension=Dimension.TOTAL)
    days: dict[date, int] = dict(rows.filter(day__gte=today - WEEKS * WEEK).values_list("day", "nano"))
    first = min(days, default=today)
    whole_day_before = today - ONE_DAY > first  # the first day started with the first call
    nano, before = days.get(today, 0), days.get(today - ONE_DAY, 0) if whole_day_before else 0
    same = [today - WEEK * number for number in range(1, WEEKS + 1)]
    usual = baseline([days.get(day, 0) for day in same if day >= first])
    if _is_cost_spike(nano, usual, before, policy):
        expected = usual.median if usual else before
        yield Cause(
            name=f"spike:day:{today}",
            kind=AlertKind.COST_SPIKE,
            severity=Severity.HIGH,
            message=f"Today has cost {money(nano)} so far; the usual cost of a whole day is {money(expected)}.",
            current_nano=nano,
            limit_nano=expected,
            since=calendar.begin_of(today),
            facts={"expected": expected},
        )


def _volume(hours: Hours, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    hour = _last_hour(calendar, now)
    calls = hours.get(hour, (0, 0))[1]
    usual = baseline(_same_hours(hours, calendar, hour, 1))
    if usual and calls - usual.median >= CALLS_MIN and is_spike(calls, usual):
        yield Cause(
            name=f"volume:{hour:%Y-%m-%dT%H:%M}",
            kind=AlertKind.UNUSUAL_USAGE,
            severity=Severity.MEDIUM,
            message=f"The last full hour had {plural(calls, 'call')}; the usual number is {usual.median:,}.",
            current_nano=hours[hour][0],
            since=hour,
            facts={"calls": calls, "expectedCalls": usual.median},
        )


def _off_hours(hours: Hours, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    """Calls in an hour of the week that never had one before."""
    hour = _last_hour(calendar, now)
    nano, calls = hours.get(hour, (0, 0))
    before = _same_hours(hours, calendar, hour, 1)
    if calls and len(before) >= QUIET_WEEKS and not any(before):
        begins, ends = (at.astimezone(calendar.zone) for at in (hour, hour + timedelta(hours=1)))
        yield Cause(
            name=f"off-hours:{hour:%Y-%m-%dT%H}",
            kind=AlertKind.UNUSUAL_USAGE,
            severity=Severity.LOW,
            message=f"{plural(calls, 'call')} on {begins:%A} between {begins:%H:%M} and {ends:%H:%M}. "
            f"The same hour of the last {len(before)} weeks had none.",
            current_nano=nano,
            since=hour,
            facts={"calls": calls, "quietWeeks": len(before)},
        )


def _new(organization_id: int, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    """A model or key of today that the organization, which is not new, has never used before."""
    today = calendar.day_of(now)
    rows = UsageDay.objects.filter(organization_id=organization_id)
    if not rows.filter(dimension=Dimension.TOTAL, day__lte=today - HISTORY_DAYS * ONE_DAY).exists():
        return
    for dimension, noun in ((Dimension.MODEL, "model"), (Dimension.API_KEY, "API key")):
        used = rows.filter(dimension=dimension).exclude(value="")
        before = used.filter(day__lt=today).values("value")
        new = list(used.filter(day=today).exclude(value__in=before).values_list("value", "nano")[:NEW_MAX])
        names, public = (read(dimension, [value for value, _ in new]) for read in (names_of, public_values))
        for value, nano in new:
            yield Cause(
                name=f"new:{dimension}:{value}",
                kind=AlertKind.UNUSUAL_USAGE,
                severity=Severity.LOW,
                message=f"New {noun} in use since today: {names[value]}.",
                current_nano=nano,
                facts={dimension.value: public[value]},
            )


def _unpriced(organization_id: int, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    today = calendar.begin_of(calendar.day_of(now))
    calls = Attempt.objects.filter(organization_id=organization_id, created_at__gte=today, price=None, cost_nano=0)
    models = calls.order_by("provider", "model").values_list("provider", "model").distinct()[:20]
    for provider, model in models:
        yield Cause(
            name=f"price:{provider}/{model}",
            kind=AlertKind.PRICE_MISSING,
            severity=Severity.HIGH,
            message=f"{provider}/{model} was used today but has no price. Its cost is not counted.",
            facts={"model": f"{provider}/{model}"},
        )


def _overruns(organization_id: int, calendar: Calendar, now: datetime) -> Iterator[Cause]:
    today = calendar.day_of(now)
    rows = LedgerEntry.objects.filter(
        organization_id=organization_id, at__gte=calendar.begin_of(today), kind=LedgerKind.OVERRUN
    )
    found = rows.aggregate(calls=Count("id"), nano=Sum("nano", default=0))
    if found["calls"]:
        yield Cause(
            name=f"overrun:{today}",
            kind=AlertKind.OVERRUN,
            severity=Severity.HIGH,
            message=f"{plural(found['calls'], 'call')} today cost more than reserved: "
            f"{money(found['nano'])} more in total.",
            current_nano=found["nano"],
            facts={"calls": found["calls"]},
        )
