"""Usage rollups of days and hours."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import UsageDay, UsageHour


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """Runs the test in the scope of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def add_usage(organization: Organization) -> Callable[..., None]:
    """Writes the rollup of a day or an hour, by default in the total dimension."""

    def make(when: date | datetime, nano: int, dimension: str = "total", value: str = "", **sums: object) -> None:
        columns = {
            "organization": organization,
            "dimension": dimension,
            "value": value,
            "nano": nano,
            "calls": 1,
            **sums,
        }
        with system_scope():
            if isinstance(when, datetime):
                UsageHour.objects.create(hour=when, **columns)
            else:
                UsageDay.objects.create(day=when, **columns)

    return make
