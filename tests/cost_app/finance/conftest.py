"""Bookings, and a clock that stands in the middle of a month."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.entries import book_entry
from cost_app.models import LedgerEntry, LedgerKind

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""The organization's time zone is Europe/Berlin: one hour ahead of UTC in November, two in early October."""

Book = Callable[..., LedgerEntry]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return NOW


@pytest.fixture
def book(organization: Organization) -> Book:
    """Writes one row of the ledger; the arguments are its columns, `organization` is another organization."""

    def make(at: datetime, nano: int, **columns: object) -> LedgerEntry:
        owner = columns.pop("organization", organization)
        defaults = {"provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE, "calls": 1}
        with organization_scope(owner.pk):  # type: ignore[attr-defined]
            return book_entry(organization=owner, at=at, nano=nano, **{**defaults, **columns})

    return make


def at(month: int, day: int, hour: int = 12) -> datetime:
    """A moment of 2026 in UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC)
