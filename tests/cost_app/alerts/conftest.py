"""Traffic of eight weeks, as the fold writes it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import UsageDay, UsageHour

NOW = datetime(2026, 3, 11, 14, 20, tzinfo=UTC)
"""A Wednesday; the last full hour began at 13:00 UTC."""
LAST_HOUR = NOW.replace(hour=13, minute=0)
USD = 10**9


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """The test sees the rows of this organization, whose clock is UTC's."""
    Organization.objects.update(time_zone="UTC")
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def usual(scoped: Organization) -> None:
    """Eight weeks of about 1 $ and 100 calls an hour, quiet from 0 to 6."""
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
def hour_was(usual: None) -> Callable[..., None]:
    """Changes the last full hour."""

    def change(hour: datetime = LAST_HOUR, **sums: int) -> None:
        UsageHour.objects.filter(hour=hour, dimension="total").update(**sums)

    return change
