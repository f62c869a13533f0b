"""The forecast of a month's cost: its intervals, its bias, and its minimum history."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from aiinfra.tenants.models import Organization
from cost_app.calendar import Calendar
from cost_app.models import UsageDay
from cost_app.spend.forecast import WEEKS, Forecast, forecast, project

CALENDAR = Calendar(ZoneInfo("UTC"))
FIRST, END = date(2026, 3, 1), date(2026, 4, 1)
NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
WORKDAY, WEEKEND = 100, 20
KINDS = ("even", "weekly", "spiky", "growing", "sparse", "all at once")


def history(seed: int, days: int = 56) -> dict[date, int]:
    """Spending with a weekday pattern and noise, until the end of March."""
    rng = random.Random(seed)
    begin = NOON.date() - timedelta(days=days)
    usual = {
        day: WEEKEND if day.weekday() > 4 else WORKDAY for day in (begin + timedelta(days=n) for n in range(days + 20))
    }
    return {day: max(1, round(rng.gauss(nano, nano / 5) * 1_000_000)) for day, nano in usual.items() if day < END}


def forecast_from(organization: Organization, spent: dict[date, int], now: datetime = NOON) -> Forecast | None:
    UsageDay.objects.all().delete()
    today = now.date()
    rows = {**{day: nano for day, nano in spent.items() if day < today}, today: spent.get(today, 0) // 2}
    UsageDay.objects.bulk_create(
        UsageDay(organization=organization, dimension="total", day=day, nano=nano, calls=1)
        for day, nano in rows.items()
    )
    return forecast(organization.pk, CALENDAR, FIRST, END, now)


def months(kind: str, seed: int) -> list[int]:
    """Daily spending in nano-dollars from a Monday: eight weeks of history, and 4 to 27 days to forecast."""
    rng = random.Random(f"{kind} {seed}")
    length = WEEKS * 7 + rng.randrange(4, 28)
    return [round(spent_on(kind, number, rng) * 10**6) for number in range(length)]


def spent_on(kind: str, number: int, rng: random.Random) -> float:
    if kind == "sparse":
        return rng.lognormvariate(0, 0.8) if rng.random() < 0.3 else 0.0
    usual = 0.2 if number % 7 > 4 and kind != "even" else 1.0
    usual *= 1.012**number if kind in {"growing", "all at once"} else 1.0
    spike = rng.uniform(3, 8) if kind in {"spiky", "all at once"} and rng.random() < 0.04 else 0.0
    return usual * max(0.05, rng.gauss(1, 0.2)) + spike


def outcome(kind: str, seed: int) -> tuple[Forecast, int]:
    """The forecast on the first day at noon, and the actual amount."""
    nanos = months(kind, seed)
    monday = date(2026, 1, 5)
    days = [(monday + timedelta(days=number), nano) for number, nano in enumerate(nanos)]
    past, ahead = days[: WEEKS * 7], days[WEEKS * 7 :]
    base = ahead[0][1] // 2
    found = project(past, base, ahead[0][0], ahead[-1][0] + timedelta(days=1), 0.5)
    return found, sum(nano for _, nano in ahead)


def test_eighty_percent_of_months_end_inside_the_interval() -> None:
    inside = {}
    for kind in KINDS:
        ends = [outcome(kind, seed) for seed in range(40)]
        inside[kind] = sum(found.low_nano <= truth <= found.high_nano for found, truth in ends)
    assert 0.74 <= sum(inside.values()) / (40 * len(KINDS)) <= 0.9, inside
    assert min(inside.values()) >= 25, inside


def test_the_forecast_is_unbiased() -> None:
    above = [truth > found.nano for kind in KINDS for found, truth in (outcome(kind, seed) for seed in range(25))]
    assert 0.4 <= sum(above) / len(above) <= 0.65


def test_an_outlier_hardly_changes_the_forecast() -> None:
    nanos = months("weekly", 1)
    past = [(date(2026, 1, 5) + timedelta(days=number), nano) for number, nano in enumerate(nanos[:56])]
    wild = [*past[:50], (past[50][0], 100 * past[50][1]), *past[51:]]
    calm, moved = (project(days, 0, date(2026, 3, 2), date(2026, 3, 30), 1.0) for days in (past, wild))
    assert calm.nano <= moved.nano < 1.5 * calm.nano
    for day, expected, low, high in moved.by_day:
        assert low <= expected <= high, day
    position = (moved.nano - moved.low_nano) / (moved.high_nano - moved.low_nano)
    assert position < 0.7, "the expected value is not near the upper end of its interval"


def test_forecast_follows_the_weekdays(scoped: Organization) -> None:
    spent = {day: (WEEKEND if day.weekday() > 4 else WORKDAY) * 10**6 for day in history(0)}
    found = forecast_from(scoped, spent)
    assert found is not None
    assert found.nano == sum(nano for day, nano in spent.items() if FIRST <= day < END)
    steps = {
        day: later - earlier for (_, earlier, *_), (day, later, *_) in zip(found.by_day, found.by_day[1:], strict=False)
    }
    assert {nano for day, nano in steps.items() if day.weekday() > 4} == {WEEKEND * 10**6}


def test_forecast_requires_two_weeks_of_history(scoped: Organization) -> None:
    assert forecast_from(scoped, history(1, days=13)) is None
    assert forecast_from(scoped, history(1, days=14)) is not None
    assert forecast_from(scoped, {}) is None


def test_forecast_predicts_when_a_budget_runs_out(scoped: Organization) -> None:
    found = forecast_from(scoped, dict.fromkeys(history(0), 10**6))
    assert found is not None
    assert found.runs_out_on(20 * 10**6) == date(2026, 3, 20)
    assert found.runs_out_on(100 * 10**6) is None


def test_forecast_is_never_below_current_spending(scoped: Organization) -> None:
    spent = {**dict.fromkeys(history(0), 1), date(2026, 3, 2): 10**9}
    found = forecast_from(scoped, spent)
    assert found is not None
    assert found.low_nano >= 10**9
