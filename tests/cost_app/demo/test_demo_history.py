"""A history that adds up, is marked, and touches nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, Sum
from django.utils import timezone

from aiinfra.tenants.models import ApiKey, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.calendar import Calendar
from cost_app.demo.clock import is_spike, slots
from cost_app.demo.history import NoHistoryError, has_history, make_history
from cost_app.ledger.agreement import disagreements
from cost_app.ledger.entries import book_entry
from cost_app.ledger.usage import fold
from cost_app.models import (
    Attempt,
    AttemptState,
    Budget,
    BudgetWindow,
    Enforcement,
    Hold,
    LedgerEntry,
    LedgerKind,
    UsageDay,
    UsageHour,
)

DAYS, ROWS = 25, 1_500
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
            make_history(organization, **{"days": DAYS, "rows": ROWS, "seed": 7, **options})  # type: ignore[arg-type]

    return run


def test_ledger_sums_attempts_and_budgets_agree(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        assert LedgerEntry.objects.count() == ROWS
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
    make(demo, rows=200)
    make(other_organization, rows=200)
    assert list(disagreements()) == []


def test_every_row_is_marked(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        assert set(LedgerEntry.objects.values_list("note", flat=True)) == {"demo history"}
        assert all(usage == {"demo": True} for usage in Attempt.objects.values_list("raw_usage", flat=True))
        assert all(name.startswith("Demo ") for name in ApiKey.objects.values_list("name", flat=True))
        assert all(user.startswith("demo.") for user in LedgerEntry.objects.values_list("user_ref", flat=True))


def test_there_is_something_to_advise_on(demo: Organization, make: Make) -> None:
    make(demo)
    with organization_scope(demo.pk):
        calls = Attempt.objects.filter(state=AttemptState.SETTLED)
        assert calls.filter(model="gpt-4", request_class="simple").count() > 100
        asked = calls.filter(request_class="simple").values("prompt_digest").annotate(times=Count("id"))
        assert asked.filter(times__gt=1).count() > 20
        assert (
            calls.filter(provider="anthropic", prefix_bytes__gt=4_096).values("prefix_digest").distinct().count() == 1
        )
        assert calls.filter(priority=10, provider="deepseek").exclude(price__window_name="").count() > 50
        assert calls.filter(number__gt=2).exclude(error_code="").exists()
        assert calls.filter(number=2, error_code="").exists()
        assert Attempt.objects.filter(state=AttemptState.RELEASED).exists()
        hits = LedgerEntry.objects.filter(kind=LedgerKind.CACHE_HIT)
        assert hits.exists()
        assert not hits.filter(at__lt=NOW - timedelta(days=DAYS // 2)).exists()


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


@pytest.mark.parametrize("rows", [1, 7, 199, 1_000])
def test_the_amount_is_exact(demo: Organization, make: Make, rows: int) -> None:
    make(demo, rows=rows, days=3)
    with organization_scope(demo.pk):
        assert LedgerEntry.objects.count() == rows


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_hours_add_up_in_zones_whose_clocks_change(zone: str, month: int) -> None:
    now = datetime(2026, month, 9, 3, 7, tzinfo=UTC)
    calendar = Calendar(ZoneInfo(zone))
    found = list(slots(calendar, now, 20, 1_000))
    assert sum(slot.rows for day in found for slot in day) == 1_000
    flat = [slot for day in found for slot in day]
    assert all(before.begins_at + before.length == after.begins_at for before, after in pairwise(flat))
    assert len(found) == 21
    assert flat[-1].begins_at + flat[-1].length < now


def test_the_sums_are_right_where_an_hour_has_thirty_minutes(demo: Organization, make: Make) -> None:
    demo.time_zone = "Australia/Lord_Howe"
    demo.save()
    make(demo, now=datetime(2026, 10, 6, 3, tzinfo=UTC), days=6, rows=600)
    assert list(disagreements()) == []


# Once, and only for a demo


def test_an_organization_has_one_history(demo: Organization, make: Make) -> None:
    make(demo, rows=10)
    with organization_scope(demo.pk):
        assert has_history(demo.pk)
    with pytest.raises(NoHistoryError, match="has its history already"):
        make(demo, rows=10)
    with organization_scope(demo.pk):
        assert LedgerEntry.objects.count() == 10


def test_real_organizations_get_none_unless_forced(organization: Organization, make: Make) -> None:
    with pytest.raises(NoHistoryError, match="no demo organization"):
        make(organization)
    make(organization, rows=10, force=True)
    with organization_scope(organization.pk):
        assert has_history(organization.pk)


def test_the_command_makes_it_once(demo: Organization, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo_history", "north", "--days=3", "--per-day=20")
    assert capsys.readouterr().out == "60 bookings of 3 days and 3 budgets for north.\n"
    with pytest.raises(CommandError, match="north has its history already"):
        call_command("demo_history", "north")
    call_command("demo_history", "north", "--again")
    assert "already" in capsys.readouterr().out
    with system_scope():
        assert LedgerEntry.objects.count() == 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "There is no organization nobody"),
        (["north", "--days=0"], "at least 1"),
        (["north", "--rows=0"], "at least 1"),
        (["north"], "no demo organization"),
    ],
)
def test_the_command_says_what_is_wrong(organization: Organization, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("demo_history", *arguments)
