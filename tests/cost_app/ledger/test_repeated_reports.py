"""A report with an ID is booked once; reusing the ID for another call is a conflict."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger import attempts
from cost_app.ledger.tracking import ReportConflictError, TrackedCall, track_request
from cost_app.models import Attempt, LedgerEntry, Repricing
from tests.cost_app.ledger.tracked import COST, USAGE, Track

pytestmark = pytest.mark.usefixtures("scoped")
AT = timezone.now() - timedelta(days=2)


def test_report_with_an_id_is_booked_once(track: Track) -> None:
    first = track(external_id="invoice-7")
    assert track(external_id="invoice-7").id == first.id
    assert LedgerEntry.objects.count() == 1
    with pytest.raises(ReportConflictError):
        track(TokenUsage(input=1), external_id="invoice-7")


@pytest.mark.parametrize(
    "other",
    [
        {"user_ref": "bob"},
        {"tags": ["blue"]},
        {"tags": []},
        {"priority": 500},
        {"latency_ms": 8},
        {"latency_ms": None},
        {"cached": True},
        {"success": False},
        {"at": AT - timedelta(days=1)},
        {"usage": TokenUsage(input=99, output=150)},
        {"usage": TokenUsage(input=100, output=150, tier="batch")},
        {"usage": TokenUsage(input=100, output=150, tool_uses={"web_search": 1})},
        {"usage": TokenUsage(input=100, output=150, reported_nano=COST)},
        {"usage": TokenUsage(input=99, cache_write_1h=1, output=150)},
    ],
    ids=[
        "user",
        "tag",
        "no tag",
        "priority",
        "latency",
        "no latency",
        "cached",
        "failed",
        "day",
        "tokens",
        "tier",
        "tools",
        "cost",
        "lifetime",
    ],
)
def test_reusing_an_id_for_another_call_is_a_conflict(track: Track, other: dict[str, object]) -> None:
    report = {
        "external_id": "invoice-7",
        "user_ref": "ada",
        "tags": ["red"],
        "priority": 100,
        "latency_ms": 7,
        "at": AT,
    }
    track(**report)
    with pytest.raises(ReportConflictError):
        track(**{**report, **other})
    assert LedgerEntry.objects.count() == 1


def test_a_repeat_is_recognized_after_a_price_change(track: Track) -> None:
    first = track(external_id="invoice-7", tags=["red"], at=AT)
    Attempt.objects.update(cost_nano=1, bound_nano=1)
    assert track(external_id="invoice-7", tags=["red"], at=AT).id == first.id
    assert track(external_id="invoice-7", tags=["red"]).id == first.id


def test_a_repeat_is_recognized_after_its_call_was_repriced(track: Track) -> None:
    first, now = track(external_id="invoice-7", at=AT), timezone.now()
    run = Repricing.objects.create(provider="deepseek", starts_at=now, ends_at=now, by="user:x", reason="x")
    assert first.price
    assert attempts.reprice(first, 70_000, run, first.price)
    assert track(external_id="invoice-7", at=AT).id == first.id


@pytest.mark.parametrize(
    "other",
    [
        {"user_ref": "bob"},
        {"model": "deepseek-v4-flash"},
        {"usage": TokenUsage(input=102, output=149)},
        {"usage": TokenUsage(input=100, output=150, reasoning=1)},
        {"cached": True},
    ],
)
def test_reusing_an_id_with_other_figures_is_a_conflict_and_books_nothing(track: Track, other: dict[str, Any]) -> None:
    track(external_id="invoice-7")
    with pytest.raises(ReportConflictError):
        track(external_id="invoice-7", **other)
    assert (Attempt.objects.count(), LedgerEntry.objects.count()) == (1, 1)


def test_reusing_an_id_with_another_cache_write_lifetime_is_a_conflict(track: Track) -> None:
    track(TokenUsage(input=1, cache_write=5, output=1), external_id="invoice-7")
    with pytest.raises(ReportConflictError):
        track(TokenUsage(input=1, cache_write_1h=5, output=1), external_id="invoice-7")


def test_organizations_can_use_the_same_id(track: Track, other_organization: Organization) -> None:
    track(external_id="invoice-7")
    with organization_scope(other_organization.pk):
        call = TrackedCall(external_id="invoice-7")
        track_request(other_organization.pk, "deepseek", "deepseek-chat", USAGE, call)
        assert LedgerEntry.objects.get().nano == COST


def test_repeat_finds_the_report_of_its_organization(track: Track, other_organization: Organization) -> None:
    first = track(external_id="invoice-7")
    track(external_id="invoice-8")
    call = TrackedCall(external_id="invoice-7")
    with system_scope():
        theirs = [track_request(other_organization.pk, "deepseek", "deepseek-chat", USAGE, call) for _ in range(2)]
    assert theirs[0].id == theirs[1].id != first.id == track(external_id="invoice-7").id
