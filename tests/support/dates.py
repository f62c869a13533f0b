"""Dates in the time zone of the fixture `organization`."""

from datetime import date
from zoneinfo import ZoneInfo

from django.utils import timezone

TIME_ZONE = "Europe/Berlin"


def current_day() -> date:
    """The current date in the organization's time zone, which is ahead of UTC."""
    return timezone.localdate(timezone=ZoneInfo(TIME_ZONE))
