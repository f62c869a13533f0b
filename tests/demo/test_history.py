"""A history that adds up, is marked, and touches no one else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, Q, Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.demo.clock import is_spike, slots
from aiinfra.demo.history import NoHistoryError, has_history, make_history
from aiinfra.templatetags.formats import money
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.metrics.stats import cache_stats
from cache_app.models import CacheHit
from cost_app.calendar import Calendar
from cost_app.ledger.entries import book_entry
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.models import (
    SUMS,
    Attempt,
    Budget,
    BudgetWindow,
    Enforcement,
    Hold,
    LedgerEntry,
    LedgerKind,
    Recommendation,
    UsageDay,
    UsageHour,
)
from cost_app.recommendations.compute import compute_recommendations
from cost_app.spend.series import Totals
from queue_app.models import AIRequest, RequestContent
from queue_app.packing import unpack
from queue_app.stats.summary import queue_stats

DAYS, REQUESTS = 25, 1_500
NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
Make = Callable[..., None]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def demo(organization: Organization) -> Organization:
    organization.is_demo = True
    organization.save()
    return organization


@pytest.fixture
def make() -> Make:
    def run(organization: Organization, **options: object) -> None:
        with organization_scope(organization.pk):
            make_history(organization, **{"days": DAYS, "requests": REQUESTS, "seed": 7, **options})  # type: ignore[arg-type]

    return run


def test_ledger_sums_attempts_and_budgets_agree(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        assert REQUESTS < LedgerEntry.objects.count() < REQUESTS * 1.1
        assert UsageHour.objects.count() > 1_000
        assert UsageDay.objects.filter(dimension="total").count() == DAYS + 1
        total = LedgerEntry.objects.aggregate(nano=Sum("nano"))["nano"]
        assert UsageDay.objects.filter(dimension="total").aggregate(nano=Sum("nano"))["nano"] == total > 10**9
    assert list(disagreements()) == []


def test_sums_grow_where_there_are_some_already(demo: Organization, make: Make) -> None:
    with organization_scope(demo.pk):
        columns = {"organization": demo, "provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE}
        book_entry(**columns, at=NOW - timedelta(hours=3), nano=5, calls=1)
    fold()
    make(demo)
    assert list(disagreements()) == []


def test_it_touches_no_other_organization(demo: Organization, other_organization: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(other_organization.pk):
        for model in (Attempt, LedgerEntry, UsageHour, UsageDay, Budget, ApiKey):
            assert not model.objects.exists()


def test_two_organizations_can_have_the_same_history(
    demo: Organization, other_organization: Organization, make: Make
) -> None:
    other_organization.is_demo = True
    other_organization.save()
    make(demo, requests=200)
    make(other_organization, requests=200)
    assert list(disagreements()) == []


def test_every_row_is_marked(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        assert set(LedgerEntry.objects.values_list("note", flat=True)) == {"demo history"}
        assert all(usage == {"demo": True} for usage in Attempt.objects.values_list("raw_usage", flat=True))
        assert all(name.startswith("Demo ") for name in ApiKey.objects.values_list("name", flat=True))
        assert all(user.startswith("demo.") for user in LedgerEntry.objects.values_list("user_ref", flat=True))


def test_queue_cache_and_costs_tell_the_same_story(demo: Organization, make: Make) -> None:
    make(demo)
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
        assert abs(cache.hit_rate - costs.cache_hit_rate) < 0.1, "they differ by the requests that failed for good"


def test_pages_and_json_of_a_first_start_agree(
    demo: Organization, make: Make, owner: User, client_of: Callable[[User], Client], redis_url: str
) -> None:
    make(demo, days=10)
    client = client_of(owner)
    queue = client.get("/api/ai/queue?action=stats").json()
    cache = client.get("/api/ai/cache?action=stats").json()
    costs = client.get("/api/ai/cost?action=metrics&period=daily&limit=30").json()["metrics"]
    hits = sum(day["cacheHits"] for day in costs)
    assert queue["totalProcessed"] + queue["totalFailed"] == cache["hits"] + cache["misses"] == REQUESTS
    assert cache["hits"] == hits > 0
    assert Decimal(cache["savedCost"]) == sum(Decimal(day["savedCost"]) for day in costs) > 0
    for page in ("queue_live", "cache", "costs"):
        assert 'id="first-request' not in client.get(reverse(page)).text
    saved = money(int(Decimal(cache["savedCost"]) * 10**9))
    assert saved in client.get(reverse("cache")).text
    assert saved in client.get(reverse("costs")).text


def test_reconcile_and_the_check_of_the_sums_agree(demo: Organization, make: Make, redis_url: str) -> None:
    make(demo, requests=300)
    call_command("reconcile", "--strict")
    call_command("rebuild_rollups", "--check")


def test_requests_have_their_attempts_and_the_last_ones_their_contents(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        for request in AIRequest.objects.filter(cached=False)[:50]:
            numbers = Attempt.objects.filter(request_id=request.pk).order_by("number").values_list("number", flat=True)
            assert list(numbers) == list(range(1, request.attempt_number + 1))
            assert request.created_at <= request.started_at <= request.completed_at  # type: ignore[operator]
        contents = RequestContent.objects.select_related("request")
        assert contents
        assert all(content.request.created_at >= NOW - timedelta(hours=6) for content in contents)
        assert "content" in unpack(contents.filter(response__isnull=False)[0].response or b"")


def test_requests_past_their_retention_are_counted_and_not_kept(demo: Organization, make: Make) -> None:
    make(demo, days=60)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() < REQUESTS
        assert not AIRequest.objects.filter(created_at__lt=NOW - timedelta(days=30)).exists()
        assert queue_stats().total_processed + queue_stats().total_failed == REQUESTS


def test_failures_are_rare_uneven_and_mostly_repaired_by_the_second_attempt(demo: Organization, make: Make) -> None:
    make(demo, requests=4_000)
    with organization_scope(demo.pk):
        attempts = Attempt.objects.all()
        timeouts = list(attempts.filter(error_code="TIMEOUT"))
        times = [(each.finished_at - each.created_at) // timedelta(milliseconds=1) for each in timeouts]  # type: ignore[operator]
        assert 0.003 < len(timeouts) / attempts.count() < 0.02
        assert len(set(times)) > 5
        assert min(times) > 60_000
        for row in attempts.values("model").annotate(calls=Count("id"), failed=Count("id", filter=~Q(error_code=""))):
            assert row["failed"] < 0.1 * row["calls"], row
        seconds = attempts.filter(number=2)
        assert seconds.filter(error_code="").count() > 0.8 * seconds.count() > 0
        assert AIRequest.objects.filter(status="failed").count() < 0.005 * 4_000


def test_models_have_prompt_caches_reasoning_and_hits_where_they_would(demo: Organization, make: Make) -> None:
    make(demo)
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


def test_the_same_weekday_is_never_quite_the_same(demo: Organization) -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    days = [sum(slot.requests for slot in day) for day in slots(calendar, NOW, 56, 6_000)]
    steps = [after - before for before, after in zip(days, days[7:], strict=False)]
    assert min(steps) < 0 < max(steps), "weeks grow along a straight line"


def test_there_is_something_to_advise_on(demo: Organization, make: Make) -> None:
    make(demo, requests=3_000)
    with organization_scope(demo.pk):
        compute_recommendations(demo.pk)
        found = {each.kind: each for each in Recommendation.objects.all()}
        assert {"cheaper_model", "off_peak", "idle_budget"} <= found.keys()
        assert "openai/gpt-4" in found["cheaper_model"].title
        assert found["cheaper_model"].monthly_nano > 0
        assert "retry_waste" not in found


def test_nothing_lies_in_the_future_and_no_call_costs_more_than_its_bound(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        assert not LedgerEntry.objects.filter(at__gt=NOW).exists()
        for attempt in Attempt.objects.all():
            assert attempt.cost_nano <= attempt.bound_nano
            assert attempt.finished_at
            assert attempt.created_at < attempt.finished_at <= NOW


def test_working_days_are_busy_and_nights_are_not(demo: Organization, make: Make) -> None:
    make(demo)
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


def test_one_day_is_out_of_hand(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        days = dict(UsageDay.objects.filter(dimension="total").values_list("day", "nano"))
    today = NOW.date()
    [spike] = [day for day in days if is_spike(day, today, DAYS)]
    others = sorted(nano for day, nano in days.items() if day != spike)
    assert days[spike] > 2 * others[-1]


def test_three_budgets_have_their_windows_from_the_beginning(demo: Organization, make: Make) -> None:
    make(demo)
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


def test_budgets_that_there_are_stay_as_they_are(demo: Organization, make: Make) -> None:
    with organization_scope(demo.pk):
        mine = Budget.objects.create(organization=demo, period="monthly", limit_nano=123)
    make(demo)
    with organization_scope(demo.pk):
        assert Budget.objects.count() == 3
        mine.refresh_from_db()
        assert mine.limit_nano == 123
        assert not BudgetWindow.objects.filter(budget=mine).exists()


@pytest.mark.parametrize("requests", [1, 7, 199, 1_000])
def test_the_amount_is_exact(demo: Organization, make: Make, requests: int) -> None:
    make(demo, requests=requests, days=3)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() == requests


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_hours_add_up_in_zones_whose_clocks_change(zone: str, month: int) -> None:
    now = datetime(2026, month, 9, 3, 7, tzinfo=UTC)
    calendar = Calendar(ZoneInfo(zone))
    found = list(slots(calendar, now, 20, 1_000))
    assert sum(slot.requests for day in found for slot in day) == 1_000
    flat = [slot for day in found for slot in day]
    assert all(before.begins_at + before.length == after.begins_at for before, after in pairwise(flat))
    assert len(found) == 21
    assert flat[-1].begins_at + flat[-1].length < now


def test_the_sums_are_right_where_an_hour_has_thirty_minutes(demo: Organization, make: Make) -> None:
    demo.time_zone = "Australia/Lord_Howe"
    demo.save()
    make(demo, now=datetime(2026, 10, 6, 3, tzinfo=UTC), days=6, requests=600)
    assert list(disagreements()) == []


# Once, and only for a demo


def test_an_organization_has_one_history(demo: Organization, make: Make) -> None:
    make(demo, requests=10)
    with organization_scope(demo.pk):
        assert has_history(demo.pk)
    with pytest.raises(NoHistoryError, match="already has a demo history"):
        make(demo, requests=10)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() == 10


def test_real_organizations_get_none_unless_forced(organization: Organization, make: Make) -> None:
    with pytest.raises(NoHistoryError, match="not a demo organization"):
        make(organization)
    make(organization, requests=10, force=True)
    with organization_scope(organization.pk):
        assert has_history(organization.pk)


def test_the_command_makes_it_once(demo: Organization, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo_history", "north", "--days=3", "--per-day=20")
    assert capsys.readouterr().out == "Created 60 requests over 3 days and 3 budgets for north.\n"
    with pytest.raises(CommandError, match="north already has a demo history"):
        call_command("demo_history", "north")
    call_command("demo_history", "north", "--again")
    assert "already" in capsys.readouterr().out
    with system_scope():
        assert AIRequest.objects.count() == 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "Organization nobody does not exist"),
        (["north", "--days=0"], "at least 1"),
        (["north", "--requests=0"], "at least 1"),
        (["north"], "not a demo organization"),
    ],
)
def test_the_command_says_what_is_wrong(organization: Organization, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("demo_history", *arguments)
