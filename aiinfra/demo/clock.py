"""How many requests the demo company sends per hour: weekdays, hours, growth, randomness, and one spike."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aiinfra.demo.profiles import EARLY_SHARES, HOURS, SHARES, SPIKE_SHARES, WEEKDAYS, WEEKEND_SHARES
from cost_app.calendar import ONE_DAY, Calendar

ONE_HOUR = timedelta(hours=1)
UNTIL_NOW = timedelta(minutes=4)
"""Between the start of the last request and now, so that it has ended with all its retries."""
GROWTH_PERCENT = 50
"""By how much traffic grows over the history."""
SPIKE_DAYS_AGO = 9
SPIKE_FACTOR = 2.6
SATURDAY = 5
LATELY, LATELY_LEAST = timedelta(minutes=100), 12_000
"""The minimum weight of the last hour, because its charts are the first thing that people see."""
DAY_SIGMA, HOUR_SIGMA = 0.14, 0.22
"""Log-normal spread of days and hours around the calendar."""


@dataclass(frozen=True)
class Slot:
    """An hour, possibly still in progress, and the number of requests to generate in it."""

    begins_at: datetime
    length: timedelta
    requests: int
    shares: tuple[int, ...]
    done_percent: int
    """The share of the history before this hour."""


def slots(calendar: Calendar, now: datetime, days: int, requests: int, seed: str = "") -> Iterator[list[Slot]]:
    """The hours of each day, from `days` days ago to now; their requests add up to exactly `requests`."""
    chance = random.Random(f"clock {seed}")
    hours = list(_hours(calendar, now, days))
    of_day: dict[date, float] = {}
    weights = []
    for hour, length in hours:
        by_chance = of_day.setdefault(calendar.day_of(hour), chance.lognormvariate(0, DAY_SIGMA))
        by_chance *= chance.lognormvariate(0, HOUR_SIGMA)
        weights.append(by_chance * _weight(calendar, hour, length, now, days))
    total, passed, made = sum(weights), 0.0, 0
    day: list[Slot] = []
    for (begins_at, length), weight in zip(hours, weights, strict=True):
        if day and calendar.day_of(day[0].begins_at) != calendar.day_of(begins_at):
            yield day
            day = []
        passed += weight
        count = round(requests * passed / total) - made
        made += count
        shares = _shares(calendar, begins_at, now, days)
        day.append(Slot(begins_at, length, count, shares, int(100 * passed / total)))
    yield day


def _hours(calendar: Calendar, now: datetime, days: int) -> Iterator[tuple[datetime, timedelta]]:
    begins_at, end = calendar.begin_of(calendar.day_of(now) - ONE_DAY * days), now - UNTIL_NOW
    while begins_at < end:
        yield begins_at, min(ONE_HOUR, end - begins_at)
        begins_at += ONE_HOUR


def _weight(calendar: Calendar, hour: datetime, length: timedelta, now: datetime, days: int) -> float:
    local = hour.astimezone(calendar.zone)
    age = (now - hour) / (ONE_DAY * (days + 1))
    by_clock = HOURS[local.hour] * WEEKDAYS[local.weekday()]
    if now - hour < LATELY:
        by_clock = max(by_clock, LATELY_LEAST)
    weight = by_clock * (100 + GROWTH_PERCENT * (1 - age)) * (length / ONE_HOUR)
    return weight * SPIKE_FACTOR if is_spike(local.date(), calendar.day_of(now), days) else weight


def is_spike(day: date, today: date, days: int) -> bool:
    """Whether a local date is the day of the spike: a working day nine or more days ago, if the history has at least 19
    days.
    """
    spike = today - ONE_DAY * SPIKE_DAYS_AGO
    while spike.weekday() >= SATURDAY:
        spike -= ONE_DAY
    return day == spike and days > 2 * SPIKE_DAYS_AGO


def _shares(calendar: Calendar, hour: datetime, now: datetime, days: int) -> tuple[int, ...]:
    local = hour.astimezone(calendar.zone)
    if is_spike(local.date(), calendar.day_of(now), days):
        return SPIKE_SHARES
    if local.weekday() >= SATURDAY:
        return WEEKEND_SHARES
    return EARLY_SHARES if 7 <= local.hour < 11 else SHARES
