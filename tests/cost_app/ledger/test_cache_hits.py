"""Booking answers from the cache: they are free, and what they save is recorded."""

from uuid import uuid4

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cost_app.ledger.cache_hits import book_cache_hit, savings_of
from cost_app.models import LedgerEntry, LedgerKind, PendingUsage

USAGE = TokenUsage(input=20, output=10)
COST = 20 * 140 + 10 * 280
pytestmark = pytest.mark.usefixtures("scoped")


def test_cache_hit_is_booked_with_the_fields_of_its_request(organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    fields = {
        "organization_id": organization.pk,
        "request_id": uuid4(),
        "provider": "deepseek",
        "model": "deepseek-chat",
        "api_key_id": key.pk,
        "priority": 500,
        "latency_ms": 7,
    }
    saved = book_cache_hit(usage=USAGE, user_ref=" ann", tags=["red ", "", "red"], **fields)  # type: ignore[arg-type]
    entry = LedgerEntry.objects.get()
    expected = fields | {"kind": LedgerKind.CACHE_HIT, "user_ref": "ann", "tags": ["red"]}
    expected |= {"nano": 0, "saved_nano": COST, "calls": 1, "errors": 0, "estimated": False, "attempt_id": None}
    expected |= {"input_tokens": 20, "output_tokens": 10}
    assert {name: getattr(entry, name) for name in expected} == expected
    assert saved == COST
    assert PendingUsage.objects.get().entry == entry


def test_fields_that_the_request_lacks_stay_empty(organization: Organization) -> None:
    request = {"organization_id": organization.pk, "request_id": uuid4()}
    book_cache_hit(**request, provider="deepseek", model="deepseek-chat", usage=USAGE)  # type: ignore[arg-type]
    entry = LedgerEntry.objects.get()
    assert (entry.api_key_id, entry.user_ref, entry.tags, entry.priority, entry.latency_ms) == (
        None,
        "",
        [],
        None,
        None,
    )


def test_cache_hit_of_an_unpriced_model_is_booked_without_savings(organization: Organization) -> None:
    assert savings_of("deepseek", "new-model", USAGE) == 0
    request = {"organization_id": organization.pk, "request_id": uuid4()}
    assert book_cache_hit(**request, provider="deepseek", model="new-model", usage=USAGE) == 0  # type: ignore[arg-type]
    assert LedgerEntry.objects.get().saved_nano == 0
