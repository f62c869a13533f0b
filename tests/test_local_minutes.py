"""Minutes in URLs and forms, including daylight saving time changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from aiinfra.local_minutes import MinuteField, minute_text

BERLIN, HAVANA, LORD_HOWE = "Europe/Berlin", "America/Havana", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("zone", "moment", "text"),
    [
        (BERLIN, "2026-11-27T08:43", "2026-11-27T09:43"),
        (BERLIN, "2026-10-25T00:30", "2026-10-25T02:30+02:00"),
        (BERLIN, "2026-10-25T01:30", "2026-10-25T02:30+01:00"),
        (HAVANA, "2026-11-01T04:00", "2026-11-01T00:00-04:00"),
        (HAVANA, "2026-11-01T05:00", "2026-11-01T00:00-05:00"),
        (LORD_HOWE, "2026-04-04T14:45", "2026-04-05T01:45+11:00"),
        (LORD_HOWE, "2026-04-04T15:15", "2026-04-05T01:45+10:30"),
        ("Asia/Kathmandu", "2026-10-25T01:30", "2026-10-25T07:15"),
    ],
)
def test_minute_text_parses_to_the_same_instant(zone: str, moment: str, text: str) -> None:
    instant = datetime.fromisoformat(f"{moment}+00:00")
    assert minute_text(instant, ZoneInfo(zone)) == text
    with timezone.override(ZoneInfo(zone)):
        for is_end in (False, True):
            assert MinuteField(is_end=is_end).clean(text) == instant


@pytest.mark.parametrize(
    ("zone", "text", "begin", "end"),
    [
        (BERLIN, "2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:30"),
        (BERLIN, "2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T01:30"),
        (HAVANA, "2026-11-01T00:00", "2026-11-01T04:00", "2026-11-01T05:00"),
        (BERLIN, "2026-07-01T02:30", "2026-07-01T00:30", "2026-07-01T00:30"),
    ],
)
def test_a_range_covers_both_instants_of_an_ambiguous_minute(zone: str, text: str, begin: str, end: str) -> None:
    with timezone.override(ZoneInfo(zone)):
        found = [MinuteField(is_end=is_end).clean(text) for is_end in (False, True)]
    assert found == [datetime.fromisoformat(f"{each}+00:00") for each in (begin, end)]


def test_every_half_hour_of_a_year_round_trips() -> None:
    for name in (HAVANA, LORD_HOWE):
        zone, begin = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC)
        with timezone.override(zone):
            field = MinuteField(is_end=False)
            for number in range(365 * 48):
                instant = begin + timedelta(minutes=30 * number)
                assert field.clean(minute_text(instant, zone)) == instant


def test_form_fields_show_the_minute_without_its_offset() -> None:
    with timezone.override(ZoneInfo(BERLIN)):
        field = MinuteField(is_end=False, required=False)
        assert field.prepare_value("2026-10-25T02:30+01:00") == "2026-10-25T02:30"
        assert field.prepare_value("nonsense") == "nonsense"
        assert field.prepare_value("9999-12-31T23:59-12:00") == "9999-12-31T23:59-12:00"
        assert field.prepare_value("") is None


@pytest.mark.parametrize(
    "text", ["2026-02-30T10:00", "nonsense", "10:00", "2026-01-01T25:00", "0001-01-01T00:00+14:00"]
)
def test_invalid_text_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        MinuteField(is_end=False).clean(text)
