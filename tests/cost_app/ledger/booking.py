"""Ledger entries and their rollups."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.ledger.entries import book_entry
from cost_app.models import LedgerEntry, UsageDay

AT = datetime(2026, 3, 10, 22, 59, tzinfo=UTC)
"""23:59 in Berlin."""


@pytest.fixture
def book(organization: Organization) -> Callable[..., LedgerEntry]:
    """Writes a ledger entry of the organization with these columns."""

    def make(**columns: object) -> LedgerEntry:
        defaults = {
            "organization_id": organization.pk,
            "kind": "usage",
            "provider": "deepseek",
            "model": "deepseek-chat",
            "nano": 100,
            "calls": 1,
            "at": AT,
            "input_tokens": 7,
            "output_tokens": 3,
            "latency_ms": 40,
        }
        with system_scope():
            return book_entry(**{**defaults, **columns})

    return make


Book = Callable[..., LedgerEntry]


def sums(dimension: str, **narrow: object) -> dict[str, int]:
    """Nano-dollars of all days by value."""
    with system_scope():
        rows = UsageDay.objects.filter(dimension=dimension, **narrow)
        return {row.value: row.nano for row in rows}
