"""What a month will have cost: right about as often as it says, and silent where it cannot know."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from aiinfra.tenants.models import Organization
from cost_app.calendar import Calendar
from cost_app.metrics.forecast import Forecast, forecast
from cost_app.models import UsageDay

CALENDAR = Calendar(ZoneInfo("UTC"))
FIRST, END = date(2026, 3, 1), date(2026, 4, 1)
NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
WORKDAY, WEEKEND = 100, 20
Use = Callable[..., None]


def history(seed: int, days: int = 56) -> dict[date, int]:
    """Spend with a weekday pattern and noise, to the end of March."""
    chance = random.Random(seed)
    begin = NOON.date() - timedelta(days=days)
    usual = {
        day: WEEKEND if day.weekday() > 4 else WORKDAY for day in (begin + timedelta(days=n) for n in range(days + 20))
    }
    return {day: max(1, round(chance.gauss(nano, nano / 5) * 1_000_000)) for day, nano in usual.items() if day < END}


def learn(organization: Organization, spent: dict[date, int], now: datetime = NOON) -> Forecast | None:
    UsageDay.objects.all().delete()
    today = now.date()
    rows = {**{day: nano for day, nano in spent.items() if day < today}, today: spent.get(today, 0) // 2}
    UsageDay.objects.bulk_create(
        UsageDay(organization=organization, dimension="total", day=day, nano=nano, calls=1)
        for day, nano in rows.items()
    )
    return forecast(organization.pk, CALENDAR, FIRST, END, now)


def test_the_interval_holds_the_truth_about_as_often_as_it_says(scoped: Organization) -> None:
    hits = 0
    for seed in range(100):
        spent = history(seed)
        found = learn(scoped, spent)
        assert found is not None
        truth = sum(nano for day, nano in spent.items() if FIRST <= day < END)
        hits += found.low_nano <= truth <= found.high_nano
        assert abs(found.nano - truth) < truth // 5
    assert 70 <= hits <= 97


def test_days_to_come_follow_the_weekdays(scoped: Organization) -> None:
    spent = {day: (WEEKEND if day.weekday() > 4 else WORKDAY) * 10**6 for day in history(0)}
    found = learn(scoped, spent)
    assert found is not None
    assert found.nano == sum(nano for day, nano in spent.items() if FIRST <= day < END)
    steps = {
        day: later - earlier for (_, earlier, *_), (day, later, *_) in zip(found.by_day, found.by_day[1:], strict=False)
    }
    assert {nano for day, nano in steps.items() if day.weekday() > 4} == {WEEKEND * 10**6}


def test_with_less_than_two_weeks_nothing_is_said(scoped: Organization) -> None:
    assert learn(scoped, history(1, days=13)) is None
    assert learn(scoped, history(1, days=14)) is not None
    assert learn(scoped, {}) is None


def test_the_day_on_which_a_budget_runs_out(scoped: Organization) -> None:
    found = learn(scoped, dict.fromkeys(history(0), 10**6))
    assert found is not None
    assert found.runs_out_on(20 * 10**6) == date(2026, 3, 20)
    assert found.runs_out_on(100 * 10**6) is None


def test_it_is_never_below_what_is_spent(scoped: Organization) -> None:
    spent = {**dict.fromkeys(history(0), 1), date(2026, 3, 2): 10**9}
    found = learn(scoped, spent)
    assert found is not None
    assert found.low_nano >= 10**9
