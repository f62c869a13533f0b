"""Budgets, and a clock that the test sets."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Budget

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """The test sees the rows of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def make_budget(organization: Organization) -> Callable[..., Budget]:
    """Makes a budget that blocks; the arguments are its columns."""

    def make(**columns: object) -> Budget:
        defaults = {"organization": organization, "period": "daily", "limit_nano": 1_000_000, "enforcement": "block"}
        with system_scope():
            return Budget.objects.create(**{**defaults, **columns})

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the time of everything that asks Django for it."""

    def set_to(now: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now)

    set_to(NOON)
    return set_to
