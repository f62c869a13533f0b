"""Budget windows: contiguous across clock and time zone changes, and their rollover."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.budgets import opening
from cost_app.budgets.rollover import refresh_rollover, refresh_rollovers
from cost_app.budgets.windows import windows_now
from cost_app.calendar import Calendar
from cost_app.models import Budget, BudgetIncrease, BudgetWindow, CostPolicy
from tests.cost_app.budgets.conftest import NOON

pytestmark = pytest.mark.usefixtures("clock")
MakeBudget = Callable[..., Budget]
DAY = timedelta(days=1)


def bounds(window: BudgetWindow) -> tuple[str, str]:
    return f"{window.starts_at:%m-%d %H:%M}", f"{window.ends_at:%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("daily", ("03-09 23:00", "03-10 23:00")),
        ("weekly", ("03-08 23:00", "03-15 23:00")),
        ("monthly", ("02-28 23:00", "03-31 22:00")),
    ],
)
def test_window_is_a_period_in_the_organization_s_time_zone(
    scoped: Organization, make_budget: MakeBudget, period: str, expected: tuple[str, str]
) -> None:
    make_budget(period=period)
    (open_window,) = windows_now(scoped.pk, NOON)
    assert bounds(open_window.window) == expected  # in Berlin, with a clock change in March


def test_fiscal_months_begin_on_the_organizations_day(scoped: Organization, make_budget: MakeBudget) -> None:
    CostPolicy.objects.create(organization=scoped, month_starts_on=15)
    make_budget(period="monthly")
    (open_window,) = windows_now(scoped.pk, NOON)
    assert bounds(open_window.window) == ("02-14 23:00", "03-14 23:00")


def test_a_window_is_opened_once(
    scoped: Organization, make_budget: MakeBudget, django_assert_num_queries: Callable[..., object]
) -> None:
    make_budget()
    make_budget(period="weekly")
    first = [each.window.id for each in windows_now(scoped.pk, NOON)]
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        assert [each.window.id for each in windows_now(scoped.pk, NOON)] == first
    assert BudgetWindow.objects.count() == 2


def test_windows_belong_to_active_budgets_of_the_organization(
    scoped: Organization, other_organization: Organization, make_budget: MakeBudget
) -> None:
    own = make_budget()
    make_budget(organization=other_organization)
    make_budget(period="weekly", is_active=False)
    with system_scope():
        assert [each.window.budget_id for each in windows_now(scoped.pk, NOON)] == [own.id]
        assert BudgetWindow.objects.count() == 1


def test_clock_moved_back_uses_the_newest_window(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget()
    (today,) = windows_now(scoped.pk, NOON)
    (yesterday,) = windows_now(scoped.pk, NOON - DAY)
    assert yesterday.window.id == today.window.id
    (tomorrow,) = windows_now(scoped.pk, NOON + DAY)
    assert [each.window.id for each in windows_now(scoped.pk, NOON)] == [today.window.id] != [tomorrow.window.id]


def test_new_time_zone_applies_from_the_next_window(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget()
    (berlin,) = windows_now(scoped.pk, NOON)
    Organization.objects.filter(pk=scoped.pk).update(time_zone="Asia/Tokyo")
    (still,) = windows_now(scoped.pk, NOON + timedelta(hours=10))
    (tokyo,) = windows_now(scoped.pk, NOON + timedelta(hours=12))
    assert still.window.id == berlin.window.id
    assert tokyo.window.starts_at == datetime(2026, 3, 10, 15, tzinfo=UTC)
    assert tokyo.window.ends_at == datetime(2026, 3, 11, 15, tzinfo=UTC)


def spend(window: BudgetWindow, *, committed: int, reserved: int = 0) -> None:
    BudgetWindow.objects.filter(id=window.id).update(committed_nano=committed, reserved_nano=reserved)


@pytest.mark.parametrize(
    ("columns", "committed", "reserved", "expected"),
    [
        ({"rollover_unused": False}, 300, 0, 1_000),
        ({"rollover_unused": True}, 300, 0, 1_700),
        ({"rollover_unused": True}, 300, 200, 1_500),
        ({"rollover_unused": True, "rollover_cap_nano": 100}, 300, 0, 1_100),
        ({"rollover_unused": True}, 1_200, 0, 1_000),
    ],
)
def test_unused_amount_is_carried_over(
    scoped: Organization,
    make_budget: MakeBudget,
    columns: dict[str, object],
    committed: int,
    reserved: int,
    expected: int,
) -> None:
    make_budget(limit_nano=1_000, **columns)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=committed, reserved=reserved)
    (after,) = windows_now(scoped.pk, NOON + DAY)
    assert after.limit_nano == expected


def test_late_refunds_are_carried_over(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget(limit_nano=1_000, rollover_unused=True)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=300, reserved=200)
    windows_now(scoped.pk, NOON + DAY)
    spend(before.window, committed=350)
    refresh_rollovers(NOON + DAY)
    (after,) = windows_now(scoped.pk, NOON + DAY)
    assert (after.limit_nano, after.window.rollover_nano) == (1_650, 650)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"rollover_unused": True}, 5_500),
        ({"rollover_unused": True, "rollover_cap_nano": 250}, 1_250),
        ({"rollover_unused": True, "rollover_cap_nano": 0}, 1_000),
        ({"rollover_unused": False}, 1_000),
    ],
)
def test_days_without_requests_carry_over(
    scoped: Organization, make_budget: MakeBudget, columns: dict[str, object], expected: int
) -> None:
    make_budget(limit_nano=1_000, **columns)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=300, reserved=200)
    (after,) = windows_now(scoped.pk, NOON + 5 * DAY)
    assert after.limit_nano == expected
    assert not refresh_rollover(after.window)


def test_a_rollover_capped_at_zero_carries_nothing_over(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget(limit_nano=1_000, rollover_unused=True, rollover_cap_nano=0)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=300)
    (after,) = windows_now(scoped.pk, NOON + DAY)
    assert (after.limit_nano, after.window.rollover_nano) == (1_000, 0)


def test_an_increase_counts_until_it_expires_or_is_withdrawn(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(limit_nano=1_000)
    increase = {"organization": scoped, "budget": budget, "reason": "launch", "by": "user:finance"}
    BudgetIncrease.objects.create(nano=500, expires_at=NOON + timedelta(hours=1), **increase)
    BudgetIncrease.objects.create(nano=70, expires_at=NOON + DAY, **increase)
    BudgetIncrease.objects.create(nano=9_000, expires_at=NOON + DAY, withdrawn_at=NOON, **increase)
    BudgetIncrease.objects.create(nano=5_000, expires_at=NOON, **increase)
    limits = [windows_now(scoped.pk, NOON + timedelta(hours=hours))[0].limit_nano for hours in (0, 2)]
    assert limits == [1_570, 1_070]


def test_increase_applies_only_to_its_own_budget(scoped: Organization, make_budget: MakeBudget) -> None:
    raised, other = make_budget(limit_nano=1_000), make_budget(limit_nano=1_000, period="weekly")
    increase = {"organization": scoped, "reason": "launch", "by": "user:finance", "expires_at": NOON + DAY}
    BudgetIncrease.objects.create(budget=raised, nano=500, **increase)
    limits = {each.window.budget_id: each.limit_nano for each in windows_now(scoped.pk, NOON)}
    assert limits == {raised.id: 1_500, other.id: 1_000}


@pytest.mark.parametrize(
    ("changes", "expected"), [({"limit_nano": 300}, (300, "block")), ({"enforcement": "warn"}, (1_000, "warn"))]
)
def test_a_window_opened_during_a_budget_change_is_repaired(
    scoped: Organization, make_budget: MakeBudget, changes: dict[str, object], expected: tuple[int, str]
) -> None:
    budget = make_budget(limit_nano=1_000)
    windows_now(scoped.pk, NOON)
    Budget.objects.filter(id=budget.id).update(**changes)
    refresh_rollovers()
    (repaired,) = windows_now(scoped.pk, NOON)
    assert (repaired.limit_nano, repaired.window.enforcement) == expected


def test_a_window_includes_its_start_and_excludes_its_end(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget()
    (noon,) = windows_now(scoped.pk, NOON)
    first, last = noon.window.starts_at, noon.window.ends_at - timedelta(microseconds=1)
    assert [windows_now(scoped.pk, at)[0].window.id for at in (first, last)] == [noon.window.id] * 2
    (following,) = windows_now(scoped.pk, noon.window.ends_at)
    assert following.window.starts_at == noon.window.ends_at


def test_each_window_carries_over_from_the_previous_one(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(limit_nano=1_000, rollover_unused=True)
    other = make_budget(limit_nano=5_000, rollover_unused=True, scope="user", scope_value="ann")
    for day, committed in enumerate((1_000, 400, 1_600)):
        for each in windows_now(scoped.pk, NOON + day * DAY):
            if each.window.budget_id == budget.id:
                spend(each.window, committed=committed)
    windows = BudgetWindow.objects.filter(budget=budget).order_by("starts_at")
    assert list(windows.values_list("limit_nano", "rollover_nano")) == [(1_000, 0), (1_000, 0), (1_600, 600)]
    for window in windows:
        assert not refresh_rollover(window)
    others = BudgetWindow.objects.filter(budget=other).order_by("starts_at")
    assert list(others.values_list("limit_nano", flat=True)) == [5_000, 10_000, 15_000]


def test_concurrent_recalculations_count_a_rollover_once(scoped: Organization, make_budget: MakeBudget) -> None:
    make_budget(limit_nano=1_000, rollover_unused=True)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=300, reserved=200)
    (first,), (second,) = windows_now(scoped.pk, NOON + DAY), windows_now(scoped.pk, NOON + DAY)
    spend(before.window, committed=350)
    assert refresh_rollover(first.window)
    spend(before.window, committed=300)
    assert not refresh_rollover(second.window), "it read an outdated rollover"
    (after,) = windows_now(scoped.pk, NOON + DAY)
    assert (after.limit_nano, after.window.rollover_nano) == (1_650, 650)
    assert refresh_rollover(after.window)
    assert not refresh_rollover(windows_now(scoped.pk, NOON + DAY)[0].window)


def test_concurrent_processes_open_one_window(
    scoped: Organization, make_budget: MakeBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_budget()
    calendar, opened = opening.calendar_for, []

    def open_concurrently(organization_id: int) -> Calendar:
        monkeypatch.setattr(opening, "calendar_for", calendar)
        opened.extend(windows_now(scoped.pk, NOON))
        return calendar(organization_id)

    monkeypatch.setattr(opening, "calendar_for", open_concurrently)
    (own,) = windows_now(scoped.pk, NOON)
    assert own.window.id == opened[0].window.id
    assert BudgetWindow.objects.count() == 1


def test_a_repair_only_updates_windows_that_differ(scoped: Organization, make_budget: MakeBudget) -> None:
    unchanged, changed = make_budget(limit_nano=1_000), make_budget(limit_nano=1_000, period="weekly")
    removed = make_budget(limit_nano=1_000, period="monthly")
    for week in (-1, 0, 1):
        windows_now(scoped.pk, NOON + week * 7 * DAY)
    Budget.objects.filter(id__in=[changed.id, removed.id]).update(limit_nano=300, enforcement="warn")
    Budget.objects.filter(id=removed.id).update(is_active=False)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(2):
            refresh_rollovers(NOON)
    assert sum(each["sql"].startswith("UPDATE") for each in queries) == 1
    rows = BudgetWindow.objects.order_by("budget_id", "starts_at").values_list("budget_id", "limit_nano", "enforcement")
    assert list(rows) == [
        *[(unchanged.id, 1_000, "block")] * 15,
        (changed.id, 1_000, "block"),
        (changed.id, 300, "warn"),
        (changed.id, 1_000, "block"),
        (removed.id, 1_000, "block"),
    ]


@pytest.mark.parametrize("at", ["first", "last"])
def test_window_is_repaired_from_start_to_end(scoped: Organization, make_budget: MakeBudget, at: str) -> None:
    budget = make_budget(limit_nano=1_000)
    (window,) = windows_now(scoped.pk, NOON)
    Budget.objects.filter(id=budget.id).update(limit_nano=300)
    starts_at, ends_at = window.window.starts_at, window.window.ends_at
    refresh_rollovers(ends_at if at == "last" else starts_at - timedelta(microseconds=1))
    assert BudgetWindow.objects.get().limit_nano == 1_000
    refresh_rollovers(ends_at - timedelta(microseconds=1) if at == "last" else starts_at)
    assert BudgetWindow.objects.get().limit_nano == 300


def test_a_repaired_window_keeps_its_rollover(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(limit_nano=1_000, rollover_unused=True)
    (before,) = windows_now(scoped.pk, NOON)
    spend(before.window, committed=300)
    windows_now(scoped.pk, NOON + DAY)
    Budget.objects.filter(id=budget.id).update(limit_nano=2_000)
    refresh_rollovers(NOON + DAY)
    (after,) = windows_now(scoped.pk, NOON + DAY)
    assert (after.limit_nano, after.window.rollover_nano) == (2_700, 700)
