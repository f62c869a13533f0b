"""Formats names, amounts, times and durations on every page. Built into the templates: no `{% load %}` needed."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from aiinfra.local_minutes import is_shown_twice
from aiinfra.money import dollars

register = template.Library()

NANO = Decimal(1_000_000_000)
NOTHING = "\N{EN DASH}"
SIGNIFICANT_DIGITS = 4
PLACES_MIN, PLACES_MAX = 2, 6
PLACES = [(10_000_000_000, PLACES_MIN), (100_000_000, 4)]
"""Largest amount of a column in nano-dollars, at least -> its decimals."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
UNITS = [(DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")]
"""Length and name of a unit, then of the next smaller one."""


@register.filter
def full_stop(name: object) -> str:
    """A name at the end of a sentence: one that ends with a period, such as `Acme Inc.`, gets no second one."""
    text = str(name)
    return text if text.endswith(".") else f"{text}."


@register.filter
def money(nano: int | None) -> str:
    """Nano-dollars as US dollars, the only currency: `$1,234.56`; below one dollar, four significant digits:
    `$0.000042`.
    """
    if nano is None:
        return NOTHING
    return f"{'-' if nano < 0 else ''}${_amount(abs(Decimal(nano)) / NANO)}"


@register.filter
def money_change(nano: int | None) -> str:
    """A difference in nano-dollars as US dollars, with its sign: `+$12.50`, `-$0.43`."""
    return f"+{money(nano)}" if nano and nano > 0 else money(nano)


@register.filter
def unit_price(nano: int | None) -> str:
    """A price in nano-dollars as US dollars, exact and so never rounded: `$3.125`."""
    if nano is None:
        return NOTHING
    whole, _, fraction = dollars(abs(nano)).partition(".")
    return f"{'-' if nano < 0 else ''}${int(whole):,}.{fraction}"


def _amount(amount: Decimal) -> str:
    """At least two decimals; amounts below one get as many as they need for their significant digits."""
    places = 2 if amount >= 1 or not amount else max(2, SIGNIFICANT_DIGITS - 1 - amount.adjusted())
    text = f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def money_places(nanos: Iterable[int]) -> int:
    """The decimals that a column of amounts shows, the same in each row: they follow from its largest amount."""
    largest = max((abs(nano) for nano in nanos), default=0)
    return next((places for at_least, places in PLACES if largest >= at_least), PLACES_MAX) if largest else PLACES_MIN


@register.filter
def places_of(rows: Iterable[Any], names: str) -> int:
    """`money_places` of a column of amounts, or of columns that are compared. `names` are as templates name them:
    `{% with places=rows|places_of:"usage.spent_nano usage.limit_nano" %}`.
    """
    columns = [template.Variable(f"row.{name}") for name in names.split()]
    return money_places(column.resolve({"row": row}) or 0 for row in rows for column in columns)


@register.filter
def money_to(nano: int | None, places: int) -> str:
    """Nano-dollars as US dollars with so many decimals. An amount that would round to 0 says so: `<$0.01`."""
    if nano is None:
        return NOTHING
    amount, unit = abs(Decimal(nano)) / NANO, Decimal(1).scaleb(-places)
    if 0 < amount < unit / 2:
        return f"{'-' if nano < 0 else ''}<${unit:f}"
    return f"{'-' if nano < 0 else ''}${amount.quantize(unit, ROUND_HALF_UP):,f}"


@register.filter
def money_change_to(nano: int | None, places: int) -> str:
    """`money_change` with so many decimals."""
    return f"+{money_to(nano, places)}" if nano and nano > 0 else money_to(nano, places)


def day_text(day: date) -> str:
    """A calendar day: `Nov 27, 2026`. A moment counts in the organization's time zone."""
    if isinstance(day, datetime):
        day = timezone.localtime(day).date()
    return f"{day:%b} {day.day}, {day.year}"


@register.filter
def time_text(moment: datetime, *, seconds: bool = False) -> str:
    """A moment in the organization's time zone: `Nov 27, 09:43`, with the year unless it is this one.

    A time that the clock shows twice, when clocks go back, has its offset: `Oct 25, 02:30 UTC+01:00`.
    """
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localtime().year else f", {local.year}"
    offset = f" UTC{local.isoformat()[-6:]}" if is_shown_twice(local) else ""
    return f"{local:%b} {local.day}{year}, {local:{'%H:%M:%S' if seconds else '%H:%M'}}{offset}"


PLAIN_TIME = '<time datetime="{}" title="{}">{}</time>'
COUNTING_TIME = '<time datetime="{}" title="{}" data-age>{}</time>'


def _time(moment: datetime, text: str, markup: str = PLAIN_TIME) -> SafeString:
    """A `<time>` whose tooltip is exact: the local time with its zone, and UTC."""
    utc = moment.astimezone(UTC)
    return format_html(markup, utc.isoformat(timespec="seconds"), _exact(timezone.localtime(moment), utc), text)


def _exact(local: datetime, utc: datetime) -> str:
    there = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return there if local.utcoffset() == utc.utcoffset() else f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}, {there}"


@register.filter
def day(value: date | None) -> str:
    """A calendar day: `Nov 27, 2026`."""
    return NOTHING if value is None else day_text(value)


@register.filter
def days_until(start: datetime, end: datetime) -> str:
    """The days of a period that ends before `end`: `Nov 1, 2026 to Nov 30, 2026`, or the only one."""
    first, last = day_text(start), day_text(end - timedelta(microseconds=1))
    return first if first == last else f"{first} to {last}"


@register.filter
def local_time(moment: datetime | None) -> SafeString | str:
    """A `<time>` in the organization's time zone, to the minute: `Nov 27, 09:43`."""
    return NOTHING if moment is None else _time(moment, time_text(moment))


@register.filter
def exact_time(moment: datetime | None) -> SafeString | str:
    """A `<time>` to the second, for the course of a request: `Nov 27, 09:43:12`."""
    return NOTHING if moment is None else _time(moment, time_text(moment, seconds=True))


@register.filter
def time_age(moment: datetime | None) -> SafeString | str:
    """A `<time>` that says how long ago, and counts up while the page is open: `5 min`."""
    return NOTHING if moment is None else _time(moment, age(moment), COUNTING_TIME)


@register.filter
def duration_ms(milliseconds: float | None) -> str:
    """`85 ms`, `1.20 s`, `12.3 s`, `30 s`, `2 min 5 s`, `3 h 20 min`, `2 d`."""
    if milliseconds is None:
        return NOTHING
    if round(milliseconds) < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if round(seconds, 1) < MINUTE:
        if not milliseconds % 1000:
            return f"{seconds:.0f} s"
        return f"{seconds:.2f} s" if round(seconds, 2) < 10 else f"{seconds:.1f} s"
    return _two_units(round(seconds))


def _two_units(seconds: int) -> str:
    large, name, small, small_name = next(each for each in UNITS if seconds >= each[0])
    rest = seconds % large // small
    return f"{seconds // large} {name}" + (f" {rest} {small_name}" if rest else "")


@register.filter
def time_left(moment: datetime) -> SafeString:
    """A `<time>` that says how long until then: `1 d 12 h`. A past time is `0 ms`."""
    return _time(moment, duration_ms(max(0, (moment - timezone.now()).total_seconds() * 1000)))


@register.filter
def share(percent: float | None) -> str:
    """A share in whole percent: `18%`. One that would round to 0 says so: `<1%`."""
    if percent is None:
        return NOTHING
    return "<1%" if 0 < percent < 0.5 else f"{percent:.0f}%"


@register.filter
def age(moment: datetime | None) -> str:
    """How long ago, in one unit: `12 s`, `5 min`, `3 h`, `2 d`. A future time has age 0."""
    if moment is None:
        return NOTHING
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for length, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
