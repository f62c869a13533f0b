"""Dates in the time zone of the organization that the tests' people belong to."""

from datetime import date
from zoneinfo import ZoneInfo

from django.utils import timezone

TIME_ZONE = "Europe/Berlin"


def current_day() -> date:
    """Today at the organization, where midnight comes before midnight in UTC."""
    return timezone.localdate(timezone=ZoneInfo(TIME_ZONE))
