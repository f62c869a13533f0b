"""Every instant lies in exactly one period of each kind, in every time zone and across clock changes."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_app.calendar import ONE_DAY, Calendar, Period
from cost_app.spend.spans import hours_between

ZONES = sorted(available_timezones())
BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
INSTANT = timedelta(microseconds=1)
MOMENTS = st.integers(0, 3 * 366 * 86_400).map(
    lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
WINDOWS = [Period.DAILY, Period.WEEKLY, Period.MONTHLY]


@pytest.mark.parametrize("year", [2026, 2028])
@pytest.mark.parametrize("start", range(0, len(ZONES), 100))
def test_days_of_a_year_are_contiguous(year: int, start: int) -> None:
    """In all time zones, across both clock changes and February 29."""
    for zone in ZONES[start : start + 100]:
        calendar = Calendar(ZoneInfo(zone))
        days = [date(year, 1, 1) + ONE_DAY * number for number in range(367)]
        begins = [calendar.begin_of(day) for day in days]
        for day, (begin, end) in zip(days, pairwise(begins), strict=False):
            assert begin < end, zone
            assert calendar.day_of(begin) == day == calendar.day_of(end - INSTANT), zone


@pytest.mark.parametrize(
    "zone", ["America/Santiago", "Africa/Cairo", "America/Havana", "Asia/Beirut", "America/Asuncion"]
)
def test_day_whose_midnight_is_skipped_or_repeated_starts_once(zone: str) -> None:
    calendar = Calendar(ZoneInfo(zone))
    for number in range(366 * 3):
        day = date(2026, 1, 1) + ONE_DAY * number
        begin = calendar.begin_of(day)
        assert calendar.day_of(begin - INSTANT) < day == calendar.day_of(begin)


@given(
    zone=st.sampled_from(ZONES),
    instant=MOMENTS,
    month_starts_on=st.integers(1, 28),
    period=st.sampled_from(WINDOWS),
)
def test_an_instant_is_in_its_window_and_the_next_window_begins_at_its_end(
    zone: str, instant: datetime, month_starts_on: int, period: Period
) -> None:
    calendar = Calendar(ZoneInfo(zone), month_starts_on)
    starts_at, ends_at = calendar.bounds(period, instant)
    assert starts_at <= instant < ends_at
    assert calendar.bounds(period, starts_at) == (starts_at, ends_at) == calendar.bounds(period, ends_at - INSTANT)
    assert calendar.bounds(period, ends_at)[0] == ends_at
    assert calendar.bounds(period, starts_at - INSTANT)[1] == starts_at


@given(
    zone=st.sampled_from(ZONES),
    instant=MOMENTS,
)
def test_an_hour_is_one_of_the_local_clock(zone: str, instant: datetime) -> None:
    calendar = Calendar(ZoneInfo(zone))
    begin = calendar.hour_of(instant)
    local = begin.astimezone(ZoneInfo(zone))
    assert begin <= instant < begin + timedelta(hours=1)
    assert (local.second, local.microsecond) == (0, 0)
    assert local.hour == instant.astimezone(ZoneInfo(zone)).hour
    assert calendar.hour_of(begin) == begin > calendar.hour_of(begin - INSTANT)


@pytest.mark.parametrize(
    ("day", "begins"),
    [
        ("2026-04-05", ["00:00", "01:00", "01:30", "02:00", "03:00"]),
        ("2026-10-04", ["00:00", "01:00", "02:30", "03:00"]),
    ],
)
def test_hours_around_a_half_hour_clock_change_start_at_local_hours(day: str, begins: list[str]) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    calendar = Calendar(zone)
    midnight = calendar.begin_of(date.fromisoformat(day))
    span = hours_between(calendar, midnight, midnight + timedelta(hours=10))
    assert [f"{edge.astimezone(zone):%H:%M}" for edge in span.edges[: len(begins)]] == begins
    assert [calendar.hour_of(edge) for edge in span.edges] == list(span.edges)
    assert [calendar.hour_of(end - INSTANT) for end in span.edges[1:]] == list(span.edges[:-1])


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_day_of_a_clock_change_has_23_or_25_hours(day: date, hours: int) -> None:
    calendar = Calendar(BERLIN)
    begin, end = calendar.begin_of(day), calendar.begin_of(day + ONE_DAY)
    assert end - begin == timedelta(hours=hours)
    minutes = ((end - begin) // timedelta(minutes=1)) // 30
    found = Counter(calendar.hour_of(begin + timedelta(minutes=30) * number) for number in range(minutes))
    assert set(found.values()) == {2}
    assert len(found) == hours


def test_hours_of_a_half_hour_time_zone_start_at_half_past_in_utc() -> None:
    hour = Calendar(KOLKATA).hour_of(datetime(2026, 5, 1, 12, 10, tzinfo=UTC))
    assert hour == datetime(2026, 5, 1, 11, 30, tzinfo=UTC)


def test_fiscal_months_start_on_their_day() -> None:
    calendar = Calendar(BERLIN, month_starts_on=15)
    assert calendar.first_day(Period.MONTHLY, date(2028, 3, 14)) == date(2028, 2, 15)
    assert calendar.first_day(Period.MONTHLY, date(2028, 3, 15)) == date(2028, 3, 15)
    assert calendar.next_first_day(Period.MONTHLY, date(2028, 12, 15)) == date(2029, 1, 15)
    assert calendar.previous_first_day(Period.MONTHLY, date(2028, 1, 15)) == date(2027, 12, 15)
