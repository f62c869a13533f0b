"""Eight weeks of usage rollups."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import UsageDay, UsageHour

NOW = datetime(2026, 3, 11, 14, 20, tzinfo=UTC)
"""A Wednesday; the last full hour started at 13:00 UTC."""
LAST_HOUR = NOW.replace(hour=13, minute=0)
USD = 10**9


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """Runs the test in the scope of this organization, whose time zone is UTC."""
    Organization.objects.update(time_zone="UTC")
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def usual_traffic(scoped: Organization) -> None:
    """Eight weeks with about $1 and 100 calls per hour, except between 00:00 and 06:00."""
    first = LAST_HOUR - timedelta(weeks=8)
    hours = [first + timedelta(hours=number) for number in range(8 * 7 * 24 + 1)]
    UsageHour.objects.bulk_create(
        UsageHour(
            organization=scoped,
            dimension="total",
            hour=hour,
            nano=USD + hour.day * 10**6,
            calls=100 + hour.day,
        )
        for hour in hours
        if hour.hour >= 6
    )
    days = sorted({hour.date() for hour in hours})
    UsageDay.objects.bulk_create(
        UsageDay(organization=scoped, dimension=dimension, value=value, day=day, nano=18 * USD, calls=1800)
        for day in days
        for dimension, value in (("total", ""), ("model", "openai/gpt-4"), ("api_key", "7"))
    )


@pytest.fixture
def set_last_hour(usual_traffic: None) -> Callable[..., None]:
    """Changes the rollup of the last full hour."""

    def change(hour: datetime = LAST_HOUR, **sums: int) -> None:
        UsageHour.objects.filter(hour=hour, dimension="total").update(**sums)

    return change
