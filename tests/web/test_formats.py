import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.templatetags.formats import (
    NOTHING,
    age,
    day,
    days_until,
    duration_ms,
    exact_time,
    local_time,
    money,
    money_change,
    money_places,
    money_to,
    places_of,
    share,
    time_age,
    time_left,
    unit_price,
)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, NOTHING),
        (0, "$0.00"),
        (1, "$0.000000001"),
        (42_000, "$0.000042"),
        (1_234_567, "$0.001235"),
        (100_000_000, "$0.10"),
        (999_999_999, "$1.00"),
        (1_234_560_000_000, "$1,234.56"),
        (-42_000, "-$0.000042"),
    ],
)
def test_money_shows_significant_digits(nano: int | None, text: str) -> None:
    assert money(nano) == text


@pytest.mark.parametrize(
    ("nanos", "texts"),
    [
        ([], []),
        ([0], ["$0.00"]),
        ([1_234_560_000_000, 4_000, -1], ["$1,234.56", "<$0.01", "-<$0.01"]),
        ([1_500_000_000, 42_000_000], ["$1.5000", "$0.0420"]),
        ([31_000, 400], ["$0.000031", "<$0.000001"]),
    ],
)
def test_amounts_in_a_column_have_the_same_number_of_decimals(nanos: list[int], texts: list[str]) -> None:
    assert [money_to(nano, money_places(nanos)) for nano in nanos] == texts
    rows = [SimpleNamespace(usage=SimpleNamespace(nano=nano), other=None) for nano in nanos]
    assert places_of(rows, "usage.nano other") == money_places(nanos)


def test_ambiguous_local_times_show_their_utc_offset() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        shown = [local_time(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1, 2)]
    texts = [re.sub("<[^>]+>", "", each) for each in map(str, shown)]
    assert [text.partition(", ")[2] for text in texts] == ["02:30 UTC+02:00", "02:30 UTC+01:00", "03:30"]


def test_no_table_column_uses_the_money_filter() -> None:
    """`money` uses as many decimals as a single amount needs, so it must not be used in table columns."""
    mixed = re.compile(r"<td[^>]*\bnum\b[^>]*>(?:(?!</td>).)*?\|money(?:_change)? }}", re.DOTALL)
    paths = list(Path(settings.BASE_DIR, "templates").rglob("*.html"))
    assert len(paths) > 100
    found = {path.name: mixed.findall(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: cells for name, cells in found.items() if cells} == {}


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, NOTHING),
        (0, "$0.00"),
        (3_125_000_000, "$3.125"),
        (1_234_500_000_001, "$1,234.500000001"),
        (62_500_000, "$0.0625"),
        (-3_125_000_000, "-$3.125"),
    ],
)
def test_a_unit_price_is_never_rounded(nano: int | None, text: str) -> None:
    assert unit_price(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [(None, NOTHING), (0, "$0.00"), (12_500_000_000, "+$12.50"), (-431_100_000, "-$0.4311")],
)
def test_a_change_is_shown_with_its_sign(nano: int | None, text: str) -> None:
    assert money_change(nano) == text


@pytest.mark.parametrize(
    ("percent", "text"), [(None, NOTHING), (0, "0%"), (0.34, "<1%"), (0.6, "1%"), (58.7, "59%"), (100, "100%")]
)
def test_a_small_share_is_not_shown_as_zero(percent: float | None, text: str) -> None:
    assert share(percent) == text


@given(st.integers(-(10**18), 10**18))
def test_small_amounts_never_look_like_zero(nano: int) -> None:
    digits = money(nano).strip("-$").replace(",", "")
    assert (float(digits) == 0) == (nano == 0)
    assert abs(float(digits) * 10**9 - abs(nano)) <= max(abs(nano) * 0.0005, 5_000_000 if abs(nano) >= 10**9 else 0.001)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, NOTHING),
        (0, "0 ms"),
        (85.4, "85 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1234, "1.23 s"),
        (3400, "3.40 s"),
        (9996, "10.0 s"),
        (11_000, "11 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min"),
        (125_000, "2 min 5 s"),
        (12_000_000, "3 h 20 min"),
        (7_200_000, "2 h"),
        (172_800_000, "2 d"),
        (172_830_000, "2 d"),
        (180_000_000, "2 d 2 h"),
    ],
)
def test_durations_have_at_most_two_units(milliseconds: float | None, text: str) -> None:
    assert duration_ms(milliseconds) == text


def test_times_are_shown_in_the_organization_s_time_zone_with_an_exact_tooltip() -> None:
    moment = datetime(2020, 1, 31, 23, 30, 5, tzinfo=UTC)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        shown, exact, of_day = local_time(moment), exact_time(moment), day(moment)
    assert ">Feb 1, 2020, 00:30<" in shown
    assert ">Feb 1, 2020, 00:30:05<" in exact
    assert of_day == "Feb 1, 2020"
    assert 'datetime="2020-01-31T23:30:05+00:00"' in shown
    assert 'title="2020-02-01 00:30:05 CET, 2020-01-31 23:30:05 UTC"' in shown
    assert [form(None) for form in (local_time, exact_time, day, time_age)] == [NOTHING] * 4


def test_a_period_is_shown_as_its_first_and_last_day() -> None:
    with timezone.override(ZoneInfo("America/New_York")):
        begin, end = (datetime(2026, month, 1, tzinfo=ZoneInfo("America/New_York")) for month in (11, 12))
        assert days_until(begin, end) == "Nov 1, 2026 to Nov 30, 2026"
        assert days_until(begin.astimezone(UTC), begin.astimezone(UTC) + timedelta(hours=24)) == "Nov 1, 2026"


def test_times_of_the_current_year_omit_the_year() -> None:
    now = timezone.localtime()
    assert f"{now:%b} {now.day}, {now:%H:%M}" in local_time(now)


def test_an_age_is_updated_on_the_page_and_has_the_exact_time_as_tooltip() -> None:
    moment = timezone.now() - timedelta(hours=3)
    shown = time_age(moment)
    assert " data-age>3 h<" in shown
    assert f'title="{moment:%Y-%m-%d %H:%M:%S} UTC"' in shown


def test_the_time_left_has_the_exact_time_as_tooltip(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    monkeypatch.setattr("aiinfra.templatetags.formats.timezone.now", lambda: now)
    shown = time_left(now + timedelta(days=1, hours=12))
    assert ">1 d 12 h<" in shown and 'title="2026-02-01 12:00:00 UTC"' in shown
    assert ">0 ms<" in time_left(now - timedelta(hours=1))


@pytest.mark.parametrize(
    ("ago", "text"),
    [(-5, "0 s"), (12, "12 s"), (59 * 60, "59 min"), (3 * 3600, "3 h"), (49 * 3600, "2 d")],
)
def test_an_age_has_one_unit(ago: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    monkeypatch.setattr("aiinfra.templatetags.formats.timezone.now", lambda: now)
    assert age(now - timedelta(seconds=ago)) == text


def test_templates_use_the_shared_date_filters() -> None:
    """Except in URLs, machine-readable values, and names of weekdays."""
    own = [
        (path.name, line.strip())
        for path in Path("templates").rglob("*.html")
        for line in path.read_text().splitlines()
        if "|date:" in line and not re.search(r"value=|datetime=|{% url |\|date:.l.", line)
    ]
    assert own == []
