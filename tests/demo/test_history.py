"""The contents of a demo history."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from aiinfra.demo.clock import is_spike
from aiinfra.demo.history import make_history
from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.metrics.stats import cache_stats
from cache_app.models import CacheHit
from cost_app.ledger.reconciliation import disagreements
from cost_app.models import (
    SUMS,
    Attempt,
    Budget,
    BudgetWindow,
    Enforcement,
    Hold,
    LedgerEntry,
    UsageDay,
    UsageHour,
)
from cost_app.prices import lookup
from cost_app.spend.series import Totals
from queue_app.models import AIRequest, RequestContent
from queue_app.packing import unpack
from queue_app.stats.summary import queue_stats

DAYS, REQUESTS = 25, 1_500
NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[int]:
    """The ID of a demo organization whose history all tests of this module read; creating it takes a second."""
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(timezone, "now", lambda: NOW)
        lookup.add_shipped_prices()
        organization = Organization.objects.create(
            slug="north", name="North Ltd", time_zone="Europe/Berlin", is_demo=True
        )
        with organization_scope(organization.pk):
            make_history(organization, days=DAYS, requests=REQUESTS, seed=7)
        yield organization.pk
        transaction.set_rollback(True)


@pytest.fixture
def demo(history: int, db: None) -> Organization:
    return Organization.objects.get(pk=history)


def test_ledger_rollups_attempts_and_budgets_agree(demo: Organization) -> None:
    with organization_scope(demo.pk):
        assert REQUESTS < LedgerEntry.objects.count() < REQUESTS * 1.1
        assert UsageHour.objects.count() > 1_000
        assert UsageDay.objects.filter(dimension="total").count() == DAYS + 1
        total = LedgerEntry.objects.aggregate(nano=Sum("nano"))["nano"]
        assert UsageDay.objects.filter(dimension="total").aggregate(nano=Sum("nano"))["nano"] == total > 10**9
    assert list(disagreements()) == []


def test_the_history_affects_only_its_organization(demo: Organization, other_organization: Organization) -> None:
    with organization_scope(other_organization.pk):
        for model in (Attempt, LedgerEntry, UsageHour, UsageDay, Budget, ApiKey):
            assert not model.objects.exists()


def test_every_row_is_marked_as_demo(demo: Organization) -> None:
    with organization_scope(demo.pk):
        assert set(LedgerEntry.objects.values_list("note", flat=True)) == {"demo history"}
        assert all(usage == {"demo": True} for usage in Attempt.objects.values_list("raw_usage", flat=True))
        assert all(name.startswith("Demo ") for name in ApiKey.objects.values_list("name", flat=True))
        assert all(user.startswith("demo.") for user in LedgerEntry.objects.values_list("user_ref", flat=True))


def test_keys_were_last_used_by_their_newest_requests(demo: Organization) -> None:
    with organization_scope(demo.pk):
        newest = AIRequest.objects.values("api_key_id").annotate(at=Max("created_at")).values_list("api_key_id", "at")
        assert dict(newest) == dict(ApiKey.objects.values_list("pk", "last_used_at"))


def test_queue_cache_and_costs_have_consistent_totals(demo: Organization) -> None:
    with organization_scope(demo.pk):
        queue, cache = queue_stats(), cache_stats(demo.pk)
        costs = Totals(**UsageDay.objects.filter(dimension="total").aggregate(**{name: Sum(name) for name in SUMS}))
        hits = AIRequest.objects.filter(cached=True)
        assert queue.total_processed + queue.total_failed == cache.looks == REQUESTS == AIRequest.objects.count()
        assert costs.calls - costs.errors == queue.total_processed
        assert costs.calls == Attempt.objects.count() + cache.hits
        assert costs.cache_hits == cache.hits == hits.count() == CacheHit.objects.count() > 100
        assert set(hits.values_list("id", flat=True)) == set(CacheHit.objects.values_list("id", flat=True))
        assert costs.saved_nano == cache.saved_nano > 0
        assert cache.hit_rate and costs.cache_hit_rate
        assert abs(cache.hit_rate - costs.cache_hit_rate) < 0.1, "they differ by the failed requests"


def test_requests_have_attempts_and_recent_ones_have_contents(demo: Organization) -> None:
    with organization_scope(demo.pk):
        for request in AIRequest.objects.filter(cached=False)[:50]:
            numbers = Attempt.objects.filter(request_id=request.pk).order_by("number").values_list("number", flat=True)
            assert list(numbers) == list(range(1, request.attempt_number + 1))
            assert request.created_at <= request.started_at <= request.completed_at  # type: ignore[operator]
        contents = RequestContent.objects.select_related("request")
        assert contents
        assert all(content.request.created_at >= NOW - timedelta(hours=6) for content in contents)
        assert "content" in unpack(contents.filter(response__isnull=False)[0].response or b"")


def test_models_have_realistic_prompt_caches_reasoning_and_hits(demo: Organization) -> None:
    with organization_scope(demo.pk):
        sums = {
            row["model"]: row
            for row in Attempt.objects.values("model").annotate(
                read=Sum("cache_read_tokens"), fresh=Sum("input_tokens"), thought=Sum("reasoning_tokens")
            )
        }
        for model in ("deepseek-chat", "deepseek-v4-pro", "claude-haiku-4-5"):
            assert sums[model]["read"] > 0.1 * sums[model]["fresh"]
        assert sums["deepseek-v4-pro"]["thought"] > 0
        assert CacheHit.objects.values("model").distinct().count() >= 3
        assert CacheHit.objects.values("layer").distinct().count() == 2


def test_nothing_is_in_the_future_or_above_its_maximum_cost(demo: Organization) -> None:
    with organization_scope(demo.pk):
        assert not LedgerEntry.objects.filter(at__gt=NOW).exists()
        for attempt in Attempt.objects.all():
            assert attempt.cost_nano <= attempt.bound_nano
            assert attempt.finished_at
            assert attempt.created_at < attempt.finished_at <= NOW


def test_working_days_have_more_traffic_than_nights_and_weekends(demo: Organization) -> None:
    with organization_scope(demo.pk):
        rows = list(UsageHour.objects.filter(dimension="total").values_list("hour", "calls"))
    zone = ZoneInfo("Europe/Berlin")
    by_hour, by_weekday = dict.fromkeys(range(24), 0), dict.fromkeys(range(7), 0)
    for hour, calls in rows:
        local = hour.astimezone(zone)
        by_hour[local.hour] += calls
        by_weekday[local.weekday()] += calls
    assert by_hour[10] > 10 * by_hour[3]
    assert by_weekday[1] > 3 * by_weekday[6]


def test_one_day_has_a_cost_spike(demo: Organization) -> None:
    with organization_scope(demo.pk):
        days = dict(UsageDay.objects.filter(dimension="total").values_list("day", "nano"))
    today = NOW.date()
    [spike] = [day for day in days if is_spike(day, today, DAYS)]
    others = sorted(nano for day, nano in days.items() if day != spike)
    assert days[spike] > 2 * others[-1]


def test_three_budgets_have_windows_for_the_whole_history(demo: Organization) -> None:
    with organization_scope(demo.pk):
        budgets = {budget.period: budget for budget in Budget.objects.all()}
        assert {name: (budget.scope, budget.enforcement) for name, budget in budgets.items()} == {
            "monthly": ("organization", Enforcement.WARN),
            "daily": ("api_key", Enforcement.BLOCK),
            "weekly": ("tag", Enforcement.WARN),
        }
        windows = BudgetWindow.objects.filter(budget=budgets["daily"]).order_by("starts_at")
        assert len(windows) == DAYS + 1
        edges = [(window.starts_at, window.ends_at) for window in windows]
        assert all(before[1] == after[0] for before, after in pairwise(edges))
        assert edges[-1][0] <= NOW < edges[-1][1]
        spent = BudgetWindow.objects.filter(budget=budgets["monthly"]).aggregate(nano=Sum("committed_nano"))["nano"]
        assert spent == LedgerEntry.objects.aggregate(nano=Sum("nano"))["nano"]
        weekly = BudgetWindow.objects.filter(budget=budgets["weekly"])
        assert all(window.committed_nano * 10 < window.limit_nano for window in weekly)
        assert Hold.objects.filter(window__in=weekly).exists()
        assert budgets["weekly"].created_at <= NOW - timedelta(days=DAYS)
