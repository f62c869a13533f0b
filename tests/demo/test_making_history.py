"""Creating a demo history: its size, existing data, and the rule that it is created once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, Q
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.demo.clock import slots
from aiinfra.demo.history import NoHistoryError, has_history, make_history
from aiinfra.templatetags.formats import money
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.calendar import Calendar
from cost_app.ledger.entries import book_entry
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.models import (
    Attempt,
    Budget,
    BudgetWindow,
    LedgerKind,
    Recommendation,
)
from cost_app.recommendations.compute import compute_recommendations
from queue_app.models import AIRequest
from queue_app.stats.summary import queue_stats

DAYS, REQUESTS = 25, 200
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


def test_existing_rollups_grow(demo: Organization, make: Make) -> None:
    with organization_scope(demo.pk):
        columns = {"organization": demo, "provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE}
        book_entry(**columns, at=NOW - timedelta(hours=3), nano=5, calls=1)
    fold()
    make(demo)
    assert list(disagreements()) == []


def test_two_organizations_can_have_the_same_history(
    demo: Organization, other_organization: Organization, make: Make
) -> None:
    other_organization.is_demo = True
    other_organization.save()
    make(demo)
    make(other_organization)
    assert list(disagreements()) == []


def test_pages_and_json_agree_after_the_first_start(
    demo: Organization, make: Make, owner: User, client_of: Callable[[User], Client], redis_url: str
) -> None:
    requests = 500
    make(demo, days=10, requests=requests)
    client = client_of(owner)
    queue = client.get("/api/ai/queue?action=stats").json()
    cache = client.get("/api/ai/cache?action=stats").json()
    costs = client.get("/api/ai/cost?action=metrics&period=daily&limit=30").json()["metrics"]
    hits = sum(day["cacheHits"] for day in costs)
    assert queue["totalProcessed"] + queue["totalFailed"] == cache["hits"] + cache["misses"] == requests
    assert cache["hits"] == hits > 0
    assert Decimal(cache["savedCost"]) == sum(Decimal(day["savedCost"]) for day in costs) > 0
    for page in ("queue_live", "cache", "costs"):
        assert 'id="first-request' not in client.get(reverse(page)).text
    saved = money(int(Decimal(cache["savedCost"]) * 10**9))
    assert saved in client.get(reverse("cache")).text
    assert saved in client.get(reverse("costs")).text


def test_reconcile_and_the_rollup_check_find_no_discrepancies(demo: Organization, make: Make, redis_url: str) -> None:
    make(demo, requests=300)
    call_command("reconcile", "--strict")
    call_command("rebuild_rollups", "--check")


def test_requests_past_retention_are_counted_but_not_stored(demo: Organization, make: Make) -> None:
    requests = 400
    make(demo, days=60, requests=requests)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() < requests
        assert not AIRequest.objects.filter(created_at__lt=NOW - timedelta(days=30)).exists()
        assert queue_stats().total_processed + queue_stats().total_failed == requests


def test_failures_are_rare_uneven_and_mostly_succeed_on_retry(demo: Organization, make: Make) -> None:
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


def test_traffic_varies_from_week_to_week(demo: Organization) -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    days = [sum(slot.requests for slot in day) for day in slots(calendar, NOW, 56, 6_000)]
    steps = [after - before for before, after in zip(days, days[7:], strict=False)]
    assert min(steps) < 0 < max(steps), "weekly traffic must both rise and fall"


def test_the_history_yields_recommendations(demo: Organization, make: Make) -> None:
    make(demo, requests=3_000)
    with organization_scope(demo.pk):
        compute_recommendations(demo.pk)
        found = {each.kind: each for each in Recommendation.objects.all()}
        assert {"cheaper_model", "off_peak", "idle_budget"} <= found.keys()
        assert "openai/gpt-4" in found["cheaper_model"].title
        assert found["cheaper_model"].monthly_nano > 0
        assert "retry_waste" not in found


def test_existing_budgets_are_unchanged(demo: Organization, make: Make) -> None:
    with organization_scope(demo.pk):
        mine = Budget.objects.create(organization=demo, period="monthly", limit_nano=123)
    make(demo)
    with organization_scope(demo.pk):
        assert Budget.objects.count() == 3
        mine.refresh_from_db()
        assert mine.limit_nano == 123
        assert not BudgetWindow.objects.filter(budget=mine).exists()


@pytest.mark.parametrize("requests", [1, 7, 199, 1_000])
def test_the_number_of_requests_is_exact(demo: Organization, make: Make, requests: int) -> None:
    make(demo, requests=requests, days=3)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() == requests


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_hours_are_contiguous_across_daylight_saving_changes(zone: str, month: int) -> None:
    now = datetime(2026, month, 9, 3, 7, tzinfo=UTC)
    calendar = Calendar(ZoneInfo(zone))
    found = list(slots(calendar, now, 20, 1_000))
    assert sum(slot.requests for day in found for slot in day) == 1_000
    flat = [slot for day in found for slot in day]
    assert all(before.begins_at + before.length == after.begins_at for before, after in pairwise(flat))
    assert len(found) == 21
    assert flat[-1].begins_at + flat[-1].length < now


def test_rollups_are_correct_in_half_hour_time_zones(demo: Organization, make: Make) -> None:
    demo.time_zone = "Australia/Lord_Howe"
    demo.save()
    make(demo, now=datetime(2026, 10, 6, 3, tzinfo=UTC), days=6, requests=600)
    assert list(disagreements()) == []


# One history per organization, and only for demos


def test_an_organization_can_have_only_one_history(demo: Organization, make: Make) -> None:
    make(demo, requests=10)
    with organization_scope(demo.pk):
        assert has_history(demo.pk)
    with pytest.raises(NoHistoryError, match="already has a demo history"):
        make(demo, requests=10)
    with organization_scope(demo.pk):
        assert AIRequest.objects.count() == 10


def test_real_organizations_get_no_history_unless_forced(organization: Organization, make: Make) -> None:
    with pytest.raises(NoHistoryError, match="not a demo organization"):
        make(organization)
    make(organization, requests=10, force=True)
    with organization_scope(organization.pk):
        assert has_history(organization.pk)


def test_the_command_creates_a_history_once(demo: Organization, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_the_command_reports_errors(organization: Organization, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("demo_history", *arguments)
