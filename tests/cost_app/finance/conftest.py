"""Ledger entries, and a clock set to the middle of a month."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.focus import FOCUS_COLUMNS, focus_rows
from cost_app.finance.invoices.invoice_import import Upload, import_file
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.ledger.entries import book_entry
from cost_app.models import LedgerEntry, LedgerKind, MonthClose

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""The organization's time zone is Europe/Berlin: one hour ahead of UTC in November, two in early October."""

OCTOBER = "2026-10-01"
Close = Callable[..., MonthClose]
Charges = Callable[..., list[dict[str, str]]]
Book = Callable[..., LedgerEntry]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return NOW


@pytest.fixture
def book(organization: Organization) -> Book:
    """Writes a ledger entry with these columns; `organization` selects another organization."""

    def make(at: datetime, nano: int, **columns: object) -> LedgerEntry:
        owner = columns.pop("organization", organization)
        defaults = {"provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE, "calls": 1}
        with organization_scope(owner.pk):  # type: ignore[attr-defined]
            return book_entry(organization=owner, at=at, nano=nano, **{**defaults, **columns})

    return make


def at(month: int, day: int, hour: int = 12) -> datetime:
    """A time in 2026 in UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def close(organization: Organization) -> Close:
    def make(slug: str = OCTOBER) -> MonthClose:
        with organization_scope(organization.pk):
            month = find_month(organization.pk, slug)
            assert month
            return close_month(organization=organization, month=month, actor="user:finance").close

    return make


@pytest.fixture
def upload(organization: Organization) -> Callable[..., Upload]:
    def make(text: str, provider: str = "openai") -> Upload:
        with organization_scope(organization.pk):
            return import_file(
                organization_id=organization.pk, provider=provider, name="usage.csv", content=text.encode(),
                actor="user:finance",
            )  # fmt: skip

    return make


@pytest.fixture
def charges(organization: Organization) -> Charges:
    """Reads the lines of a FOCUS export as text, by default of October."""

    def read(first: date = date(2026, 10, 1), last: date = date(2026, 10, 31)) -> list[dict[str, str]]:
        with organization_scope(organization.pk):
            rows = list(focus_rows(organization, first, last))
        return [{name: "" if cell is None else str(cell) for name, cell in zip(FOCUS_COLUMNS, row, strict=True)}
                for row in rows]  # fmt: skip

    return read
