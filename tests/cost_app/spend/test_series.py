"""Spending by period of the organization's calendar."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.calendar import Calendar, Period
from cost_app.models import SUMS, Budget, CostPolicy, Dimension, UsageDay
from cost_app.spend.series import OTHERS, Totals, breakdown, calendar_of, get_cost_metrics, metrics_of, ranking
from cost_app.spend.spans import Span, cut_between, hours_between, last_periods, periods_between, span_before
from cost_app.spend.summary import summary

AddUsage = Callable[..., None]
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def by_start(metrics: list, pattern: str = "%m-%d") -> dict[str, int]:  # type: ignore[type-arg]
    return {f"{each.starts_at:{pattern}}": each.totals.nano for each in metrics}


def test_totals_have_the_columns_of_the_rollups_in_order() -> None:
    assert SUMS[0] == "nano"
    assert tuple(field.name for field in fields(Totals)) == SUMS


def test_days_are_newest_first_and_days_without_calls_are_zero(scoped: Organization, add_usage: AddUsage) -> None:
    add_usage(date(2026, 3, 31), 5)
    add_usage(date(2026, 3, 29), 7)
    metrics = get_cost_metrics(scoped.pk, "daily", 3, now=NOW)
    assert [each.totals.nano for each in metrics] == [5, 0, 7]
    assert metrics[0].starts_at == datetime(2026, 3, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(("day", "utc_hour", "hours"), [(29, 21, 23), (28, 22, 24)])
def test_hours_are_correct_when_clocks_go_forward(
    scoped: Organization, add_usage: AddUsage, day: int, utc_hour: int, hours: int
) -> None:
    now = datetime(2026, 3, day, utc_hour, 30, tzinfo=UTC)
    metrics = get_cost_metrics(scoped.pk, "hourly", 48, now=now)
    local = [each.starts_at.astimezone(ZoneInfo("Europe/Berlin")) for each in metrics]
    assert sum(moment.day == day for moment in local) == hours
    assert len(metrics) == 48


def test_hours_in_a_half_hour_time_zone_are_correct(scoped: Organization, add_usage: AddUsage) -> None:
    Organization.objects.update(time_zone="Asia/Kolkata")
    add_usage(datetime(2026, 3, 31, 10, 30, tzinfo=UTC), 9)
    metrics = get_cost_metrics(scoped.pk, "hourly", 3, now=NOW)
    assert by_start(metrics, "%H:%M") == {"11:30": 0, "10:30": 9, "09:30": 0}


def test_weeks_start_on_monday_and_months_on_the_fiscal_day(scoped: Organization, add_usage: AddUsage) -> None:
    CostPolicy.objects.create(organization=scoped, month_starts_on=15)
    for day, nano in [(14, 1), (15, 2), (29, 4), (30, 8)]:
        add_usage(date(2026, 3, day), nano)
    assert [each.totals.nano for each in get_cost_metrics(scoped.pk, "weekly", 2, now=NOW)] == [8, 4]
    assert [each.totals.nano for each in get_cost_metrics(scoped.pk, "monthly", 2, now=NOW)] == [14, 1]


def test_figures_are_limited_to_the_retention(scoped: Organization) -> None:
    CostPolicy.objects.create(organization=scoped, daily_days=5, hourly_days=1)
    assert len(get_cost_metrics(scoped.pk, "daily", 100, now=NOW)) == 5
    assert len(get_cost_metrics(scoped.pk, "hourly", 100, now=NOW)) == 24


def test_rates_and_averages_are_derived_from_sums(scoped: Organization, add_usage: AddUsage) -> None:
    add_usage(date(2026, 3, 31), 90, calls=5, errors=1, cache_hits=2, latency_ms=600, timed_calls=2, saved_nano=11)
    totals = get_cost_metrics(scoped.pk, "daily", 1, now=NOW)[0].totals
    assert (totals.error_rate, totals.cache_hit_rate, totals.average_latency_ms) == (20, 50, 300)
    assert (totals.nano_per_call, totals.saved_nano) == (18, 11)
    empty = get_cost_metrics(scoped.pk, "daily", 2, now=NOW)[1].totals
    assert [empty.error_rate, empty.cache_hit_rate, empty.nano_per_call, empty.average_latency_ms] == [None] * 4


def test_groups_beyond_the_top_ones_are_summed(scoped: Organization, add_usage: AddUsage) -> None:
    for number in range(12):
        add_usage(date(2026, 3, 31), number, "user", f"user-{number}")
    add_usage(date(2026, 3, 31), 66)
    span = last_periods(calendar_of(scoped.pk), Period.DAILY, 2, NOW)
    shown, count = ranking(scoped.pk, span, Dimension.USER, 3)
    assert (list(shown), count) == (["user-11", "user-10", "user-9"], 12)
    *_, today = metrics_of(scoped.pk, span, Dimension.USER, list(shown))
    assert (today.groups["user-9"].nano, today.groups[OTHERS].nano) == (9, 66 - 30)
    (same,) = get_cost_metrics(scoped.pk, "daily", 1, by="user", now=NOW)
    assert len(same.groups) == 12
    found = breakdown(scoped.pk, Dimension.USER, date(2026, 3, 1), date(2026, 4, 1))
    assert found.others is not None
    assert (next(iter(found.groups)), found.of, found.others.nano) == ("user-11", 12, 15)


def test_hours_can_be_grouped(scoped: Organization, add_usage: AddUsage) -> None:
    add_usage(datetime(2026, 3, 31, 11, tzinfo=UTC), 4, "tag", "red")
    (_, before) = get_cost_metrics(scoped.pk, "hourly", 2, by="tag", now=NOW)
    assert before.groups["red"].nano == 4


def test_day_of_the_autumn_clock_change_has_25_hours(scoped: Organization, add_usage: AddUsage) -> None:
    metrics = get_cost_metrics(scoped.pk, "hourly", 30, now=datetime(2026, 10, 25, 22, 30, tzinfo=UTC))
    local = [each.starts_at.astimezone(ZoneInfo("Europe/Berlin")) for each in metrics]
    assert sum(moment.day == 25 for moment in local) == 25


def test_spending_of_other_organizations_is_not_visible(
    scoped: Organization, other_organization: Organization, add_usage: AddUsage
) -> None:
    with system_scope():
        UsageDay.objects.create(organization=other_organization, day=date(2026, 3, 31), dimension="total", nano=99)
    assert get_cost_metrics(scoped.pk, "daily", 1, now=NOW)[0].totals.nano == 0


def test_summary_runs_a_limited_number_of_queries(
    scoped: Organization, add_usage: AddUsage, django_assert_max_num_queries: Callable[..., object]
) -> None:
    Budget.objects.create(organization=scoped, period="monthly", limit_nano=10**9)
    for number in range(60):
        day = date(2026, 3, 31) - timedelta(days=number)
        add_usage(day, 10**6 * (1 + day.weekday()))
        add_usage(day, 10**6, "model", f"openai/m-{number}")
    summary(scoped.pk, NOW)
    with django_assert_max_num_queries(8):  # type: ignore[attr-defined]
        found = summary(scoped.pk, NOW)
    assert found.totals.nano == sum(10**6 * (1 + date(2026, 3, day).weekday()) for day in range(1, 32))
    assert found.month_budget is not None
    assert (found.by_model.of, len(found.by_model.groups)) == (31, 6)
    assert found.forecast is not None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu"])
def test_previous_span_is_adjacent_and_has_the_same_length(zone: str) -> None:
    calendar = Calendar(ZoneInfo(zone), 5)
    now = datetime(2026, 4, 6, 12, 20, tzinfo=UTC)
    spans = [
        hours_between(calendar, now - timedelta(hours=23), now),
        last_periods(calendar, Period.DAILY, 30, now),
        last_periods(calendar, Period.MONTHLY, 12, now),
        periods_between(calendar, Period.DAILY, date(2026, 4, 5), date(2026, 4, 6)),
        cut_between(calendar, Period.MONTHLY, date(2026, 1, 17), date(2026, 4, 6)),
    ]
    for span in spans:
        before = span_before(span)
        assert before.edges[-1] == span.edges[0]
        assert _length(before) == _length(span)


def _length(span: Span) -> int:
    """The length in periods if none is partial, otherwise in days."""
    return len(span.edges) if span.is_whole else (span.end_day - span.first_day).days


def test_a_partial_month_counts_only_its_days(scoped: Organization, add_usage: AddUsage) -> None:
    for day in (date(2026, 1, 9), date(2026, 1, 10), date(2026, 2, 3), date(2026, 2, 4)):
        add_usage(day, 1)
    span = cut_between(calendar_of(scoped.pk), Period.MONTHLY, date(2026, 1, 10), date(2026, 2, 3))
    assert [each.totals.nano for each in metrics_of(scoped.pk, span)] == [1, 1]
