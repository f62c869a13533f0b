"""Days and hours of usage, as the fold writes them."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import UsageDay, UsageHour


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """The test sees the rows of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def use(organization: Organization) -> Callable[..., None]:
    """Writes a day's or an hour's sums in a dimension, the total by default."""

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
