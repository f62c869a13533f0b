"""Months cover all time without gaps or overlaps, whatever calendars earlier months were closed with."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_app.calendar import Calendar
from cost_app.finance.months import INSTANT, Month, month_at
from tests.support.examples import examples

BEGIN = datetime(2026, 3, 10, 12, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Pacific/Kiritimati"]
CALENDARS = st.builds(lambda zone, day: Calendar(ZoneInfo(zone), day), st.sampled_from(ZONES), st.integers(1, 28))


def tiles(calendar: Calendar, closed: list[Month]) -> list[Month]:
    """The months of half a year, oldest first."""
    found, instant = [], BEGIN
    while instant < BEGIN + timedelta(days=180):
        found.append(month_at(calendar, closed, instant))
        instant = found[-1].ends_at
    return found


@settings(max_examples=examples(60, 600))
@given(st.lists(st.tuples(CALENDARS, st.integers(0, 200)), max_size=5), CALENDARS)
def test_every_instant_is_in_exactly_one_month(closings: list[tuple[Calendar, int]], calendar: Calendar) -> None:
    closed: list[Month] = []
    for theirs, days in closings:
        month = month_at(theirs, closed, BEGIN + timedelta(days=days, hours=days))
        if month not in closed:
            assert not any(month.overlaps(other) for other in closed)
            closed.append(month)
    found = tiles(calendar, closed)
    for month, following in pairwise(found):
        assert following.starts_at == month.ends_at
    for month in found:
        assert (
            month_at(calendar, closed, month.starts_at) == month_at(calendar, closed, month.ends_at - INSTANT) == month
        )
        assert month in closed or not any(month.overlaps(other) for other in closed)
        assert month.ends_at - month.starts_at <= timedelta(days=33)
    assert len({month.slug for month in found}) >= len(found) - len(closed)


def test_remainder_of_a_shortened_month_is_a_month() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    october = month_at(Calendar(berlin), [], datetime(2026, 10, 5, tzinfo=UTC))
    found = month_at(Calendar(berlin, 15), [october], datetime(2026, 11, 3, tzinfo=UTC))
    assert str(found) == "2026-11-01 to 2026-11-14"
    assert (
        str(month_at(Calendar(berlin, 15), [october], datetime(2026, 9, 20, tzinfo=UTC))) == "2026-09-15 to 2026-09-30"
    )


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_hours_between_two_time_zones_belong_to_the_open_month(zone: str) -> None:
    october = month_at(Calendar(ZoneInfo("Europe/Berlin")), [], datetime(2026, 10, 5, tzinfo=UTC))
    november = month_at(Calendar(ZoneInfo(zone)), [october], october.ends_at)
    assert november.starts_at == october.ends_at
    assert november.last_day.isoformat() == "2026-11-30"
