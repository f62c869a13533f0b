from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.templatetags.formats import NOTHING, age, duration_ms, local_time, money, money_places, money_to


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
def test_money_keeps_what_is_significant(nano: int | None, text: str) -> None:
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
def test_a_column_has_one_number_of_decimals(nanos: list[int], texts: list[str]) -> None:
    assert [money_to(nano, money_places(nanos)) for nano in nanos] == texts


@given(st.integers(-(10**18), 10**18))
def test_no_amount_looks_like_nothing(nano: int) -> None:
    digits = money(nano).strip("-$").replace(",", "")
    assert (float(digits) == 0) == (nano == 0)
    assert abs(float(digits) * 10**9 - abs(nano)) <= max(abs(nano) * 0.0005, 5_000_000 if abs(nano) >= 10**9 else 0.001)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, NOTHING),
        (0, "0 ms"),
        (85.4, "85 ms"),
        (1234, "1.23 s"),
        (125_000, "2 min 5 s"),
        (12_000_000, "3 h 20 min"),
        (180_000_000, "2 d 2 h"),
    ],
)
def test_durations_have_at_most_two_units(milliseconds: float | None, text: str) -> None:
    assert duration_ms(milliseconds) == text


def test_times_are_shown_in_the_zone_of_the_organization() -> None:
    moment = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    with timezone.override(ZoneInfo("Europe/Berlin")):
        html = local_time(moment)
    assert ">2026-02-01 00:30:00<" in html
    assert 'datetime="2026-01-31T23:30:00+00:00"' in html
    assert local_time(None) == NOTHING


@pytest.mark.parametrize(
    ("ago", "text"),
    [(-5, "0 s"), (12, "12 s"), (59 * 60, "59 min"), (3 * 3600, "3 h"), (49 * 3600, "2 d")],
)
def test_an_age_has_one_unit(ago: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    monkeypatch.setattr("aiinfra.templatetags.formats.timezone.now", lambda: now)
    assert age(now - timedelta(seconds=ago)) == text
