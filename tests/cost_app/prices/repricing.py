"""Calls that were booked at a wrong price."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger.entries import book_entry
from cost_app.models import (
    Attempt,
    AttemptState,
    LedgerEntry,
    LedgerKind,
    ModelPrice,
)
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms

DAY = timedelta(days=1)
NOW = timezone.now()

USAGE = TokenUsage(input=1_000, output=100)

Call = Callable[..., Attempt]


def price(per_token: int, *, days: float, model: str = "m") -> ModelPrice:
    nano = per_token * 1_000_000
    terms = PriceTerms("local", model, nano, nano, nano, nano, source="a test")
    return add_version(terms=terms, effective_from=NOW + timedelta(days=days), actor="user:staff")


@pytest.fixture
def call(organization: Organization) -> Call:
    """Books a settled call of 1,100 tokens with these columns of its attempt."""

    def make(days: float = -3, kind: LedgerKind = LedgerKind.USAGE, **columns: Any) -> Attempt:
        sent_at = NOW + timedelta(days=days)
        at_price = columns.setdefault("price", ModelPrice.objects.filter(provider="local", model="m").first())
        defaults = {
            "organization": organization,
            "provider": "local",
            "model": "m",
            "state": AttemptState.SETTLED,
            "bound_nano": 5_000,
            "cost_nano": 1_100 * at_price.input // 1_000_000 if at_price else 0,
            "input_tokens": USAGE.input,
            "output_tokens": USAGE.output,
            "created_at": sent_at,
            "dispatched_at": sent_at,
        }
        with system_scope():
            attempt = Attempt.objects.create(**{**defaults, **columns})
            book_entry(
                organization_id=attempt.organization_id,
                attempt=attempt,
                provider=attempt.provider,
                model=attempt.model,
                kind=kind,
                nano=attempt.cost_nano,
            )
        return attempt

    return make


def ledger_sum(organization: Organization) -> int:
    with organization_scope(organization.pk):
        return LedgerEntry.objects.aggregate(sum=Sum("nano"))["sum"] or 0
