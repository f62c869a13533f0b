"""Each kind of alert is raised once for its cause, and not for usual traffic."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from aiinfra.tenants.models import Organization
from cost_app.alerts.api import _out
from cost_app.alerts.checks import check_all, check_budgets, check_usage
from cost_app.alerts.lifecycle import acknowledge, get_alerts, resolve, snooze
from cost_app.budgets.windows import windows_now
from cost_app.models import Alert, Attempt, Budget, BudgetWindow, CostPolicy, LedgerEntry, UsageDay, UsageHour
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms
from tests.cost_app.alerts.conftest import LAST_HOUR, NOW, USD

Change = Callable[..., None]


@pytest.fixture
def notified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The causes that were sent to the channels."""
    causes: list[str] = []
    monkeypatch.setattr("cost_app.alerts.checks.notify_opened", lambda alert: causes.append(alert.cause))
    return causes


@pytest.fixture
def window(scoped: Organization) -> BudgetWindow:
    """The window of a monthly budget of $100."""
    Budget.objects.create(organization=scoped, period="monthly", limit_nano=100 * USD)
    (open_window,) = windows_now(scoped.pk, NOW)
    return open_window.window


def spend(window: BudgetWindow, dollars: int) -> None:
    BudgetWindow.objects.filter(id=window.id).update(committed_nano=dollars * USD)
    check_budgets(window.organization_id, NOW)


def kinds() -> list[tuple[str, str]]:
    return sorted(Alert.objects.values_list("kind", "state"))


def test_usual_traffic_raises_no_alert(usual_traffic: None, scoped: Organization, notified: list[str]) -> None:
    check_usage(scoped.pk, NOW)
    assert (kinds(), notified) == ([], [])


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (79, []),
        (80, [("budget_warning", "open")]),
        (94, [("budget_warning", "open")]),
        (95, [("budget_exceeded", "open")]),
        (120, [("budget_exceeded", "open")]),
    ],
)
def test_a_budget_warns_and_alerts_at_its_thresholds(
    window: BudgetWindow, notified: list[str], dollars: int, expected: list[tuple[str, str]]
) -> None:
    spend(window, dollars)
    spend(window, dollars)
    assert kinds() == expected
    assert len(notified) == len(expected)


def test_budget_warning_ends_when_the_alert_opens_and_both_end_when_the_limit_is_raised(window: BudgetWindow) -> None:
    spend(window, 80)
    spend(window, 96)
    assert kinds() == [("budget_exceeded", "open"), ("budget_warning", "resolved")]
    BudgetWindow.objects.update(limit_nano=1000 * USD)
    check_budgets(window.organization_id, NOW)
    assert {state for _, state in kinds()} == {"resolved"}


def test_a_returning_cause_reopens_the_alert_without_notification_within_five_minutes(
    window: BudgetWindow, notified: list[str]
) -> None:
    for dollars in (80, 10, 80):
        spend(window, dollars)
    assert kinds() == [("budget_warning", "open")]
    assert len(notified) == 1
    spend(window, 10)
    BudgetWindow.objects.update(committed_nano=80 * USD)
    check_budgets(window.organization_id, NOW + timedelta(minutes=6))
    assert len(notified) == 2


def test_a_manually_resolved_alert_stays_resolved_in_its_window(window: BudgetWindow, notified: list[str]) -> None:
    spend(window, 80)
    resolve(Alert.objects.get(), actor="user:finance")
    spend(window, 85)
    assert kinds() == [("budget_warning", "resolved")]
    assert len(notified) == 1


def test_acknowledged_alerts_stay_acknowledged_and_snoozes_end(window: BudgetWindow, notified: list[str]) -> None:
    spend(window, 80)
    acknowledge(Alert.objects.get(), actor="user:finance")
    spend(window, 81)
    assert kinds() == [("budget_warning", "acknowledged")]
    snooze(Alert.objects.get(), NOW + timedelta(hours=1), actor="user:finance")
    check_budgets(window.organization_id, NOW + timedelta(minutes=30))
    assert kinds() == [("budget_warning", "snoozed")]
    check_budgets(window.organization_id, NOW + timedelta(minutes=61))
    assert kinds() == [("budget_warning", "open")]
    assert len(notified) == 2


def test_hour_above_its_usual_cost_is_a_spike(scoped: Organization, set_last_hour: Change, notified: list[str]) -> None:
    set_last_hour(nano=4 * USD)
    check_usage(scoped.pk, NOW)
    alert = Alert.objects.get(kind="cost_spike")
    assert (alert.cause, alert.current_nano) == ("spike:hour:2026-03-11T13:00", 4 * USD)
    assert alert.limit_nano is not None and abs(alert.limit_nano - USD) < USD // 20
    check_usage(scoped.pk, NOW + timedelta(hours=1))
    assert kinds() == [("cost_spike", "resolved")]


def test_a_small_increase_is_not_a_spike(scoped: Organization, set_last_hour: Change) -> None:
    CostPolicy.objects.create(organization=scoped, spike_floor_nano=10 * USD)
    set_last_hour(nano=4 * USD)
    check_usage(scoped.pk, NOW)
    assert kinds() == []


@pytest.mark.parametrize(("today", "is_spike"), [(10, False), (13, True)])
def test_the_simple_rule_applies_with_little_history(scoped: Organization, today: int, is_spike: bool) -> None:
    for back, dollars in ((0, today), (1, 4), (2, 4)):
        day = NOW.date() - timedelta(days=back)
        UsageDay.objects.create(organization=scoped, dimension="total", day=day, nano=dollars * USD, calls=1)
    check_usage(scoped.pk, NOW)
    assert Alert.objects.filter(kind="cost_spike").exists() is is_spike


def test_hour_with_many_more_calls_than_usual_is_unusual(scoped: Organization, set_last_hour: Change) -> None:
    set_last_hour(calls=900)
    check_usage(scoped.pk, NOW)
    assert Alert.objects.get().cause == "volume:2026-03-11T13:00"


def test_calls_in_usually_quiet_hours_are_unusual(usual_traffic: None, scoped: Organization) -> None:
    night = LAST_HOUR.replace(hour=3)
    UsageHour.objects.create(organization=scoped, dimension="total", hour=night, nano=5, calls=3)
    check_usage(scoped.pk, night + timedelta(minutes=70))
    alert = Alert.objects.get()
    assert alert.cause == "off-hours:2026-03-11T03"
    assert alert.message.startswith("3 calls on Wednesday between 03:00 and 04:00. The same hour of the last ")


@pytest.mark.parametrize(("dimension", "value"), [("model", "openai/gpt-9"), ("api_key", "8")])
def test_a_new_model_or_key_is_unusual_for_one_day(
    usual_traffic: None, scoped: Organization, dimension: str, value: str
) -> None:
    row = {"organization": scoped, "dimension": dimension, "value": value, "nano": 5, "calls": 1}
    UsageDay.objects.create(day=NOW.date(), **row)
    check_usage(scoped.pk, NOW)
    assert Alert.objects.get().cause == f"new:{dimension}:{value}"
    check_usage(scoped.pk, NOW + timedelta(days=1))
    assert kinds() == [("unusual_usage", "resolved")]


def test_first_model_of_a_new_organization_is_not_unusual(scoped: Organization) -> None:
    UsageDay.objects.create(organization=scoped, dimension="model", value="a/b", day=NOW.date(), nano=5, calls=1)
    check_usage(scoped.pk, NOW)
    assert kinds() == []


def test_calls_without_a_price_and_overruns_raise_alerts(scoped: Organization) -> None:
    attempt = Attempt.objects.create(
        organization=scoped, provider="openai", model="gpt-9", bound_nano=0, created_at=NOW, state="settled"
    )
    LedgerEntry.objects.create(
        organization=scoped, kind="overrun", attempt=attempt, provider="openai", model="gpt-9", nano=7, at=NOW
    )
    check_usage(scoped.pk, NOW)
    assert [kind for kind, _ in kinds()] == ["overrun", "price_missing"]


@pytest.mark.parametrize(
    ("issue", "kind", "causes"),
    [
        ("no_usage", "usage_missing", ["usage:openai:2026-03-11"]),
        ("tier_unpriced", "price_missing", ["price:openai/gpt-8:flex", "price:openai/gpt-9:flex"]),
        ("tool_unpriced", "price_missing", ["price:openai/gpt-8:tools", "price:openai/gpt-9:tools"]),
        ("cost_differs", "cost_differs", ["cost:openai/gpt-8:2026-03-11", "cost:openai/gpt-9:2026-03-11"]),
    ],
)
def test_usage_issues_alert_once_per_day_and_end_with_the_day(
    scoped: Organization, notified: list[str], issue: str, kind: str, causes: list[str]
) -> None:
    price = add_version(
        terms=PriceTerms("openai", "gpt-9", 1, 1, 1, 1, source="a test"), effective_from=NOW, actor="user:staff"
    )
    for model in ("gpt-9", "gpt-8", "gpt-9"):
        Attempt.objects.create(
            organization=scoped,
            provider="openai",
            model=model,
            price=price,
            tier="flex",
            usage_issue=issue,
            bound_nano=0,
            created_at=NOW,
        )
    for _ in range(2):
        check_usage(scoped.pk, NOW)
    assert sorted(notified) == causes
    assert set(kinds()) == {(kind, "open")}
    check_usage(scoped.pk, NOW + timedelta(days=1))
    assert set(kinds()) == {(kind, "resolved")}


def test_budget_alert_has_an_explanation(usual_traffic: None, window: BudgetWindow, scoped: Organization) -> None:
    UsageDay.objects.create(
        organization=scoped, dimension="model", value="openai/gpt-9", day=NOW.date(), nano=50 * USD, calls=10
    )
    spend(window, 96)
    why = Alert.objects.get().explanation
    assert why["contributors"][0]["name"] == "openai/gpt-9"
    assert why["price"] + why["volume"] + why["mix"] == why["change"]


def test_every_organization_is_checked(window: BudgetWindow, other_organization: Organization) -> None:
    BudgetWindow.objects.filter(id=window.id).update(committed_nano=99 * USD)
    BudgetWindow.objects.update(starts_at="2020-01-01T00:00Z", ends_at="2090-01-01T00:00Z")
    check_all()
    assert kinds() == [("budget_exceeded", "open")]


def test_check_runs_a_limited_number_of_queries(
    usual_traffic: None, window: BudgetWindow, django_assert_max_num_queries: Callable[..., object]
) -> None:
    with django_assert_max_num_queries(6):  # type: ignore[attr-defined]
        check_budgets(window.organization_id, NOW)
    with django_assert_max_num_queries(13):  # type: ignore[attr-defined]
        check_usage(window.organization_id, NOW)


def test_open_and_acknowledged_alerts_are_listed_separately(window: BudgetWindow) -> None:
    spend(window, 99)
    organization_id = window.organization_id
    assert [get_alerts(organization_id, wanted).count() for wanted in (False, True, None)] == [1, 0, 1]
    acknowledge(Alert.objects.get(), actor="user:finance")
    assert [get_alerts(organization_id, wanted).count() for wanted in (False, True, None)] == [0, 1, 1]


def test_amounts_have_a_currency_sign_and_few_decimals(window: BudgetWindow) -> None:
    BudgetWindow.objects.filter(id=window.id).update(committed_nano=81_234_567_891)
    check_budgets(window.organization_id, NOW)
    assert Alert.objects.get().message.endswith("is used: $81.23 of $100.00.")


def test_only_budget_alerts_have_a_budget_limit(scoped: Organization) -> None:
    alert = Alert(organization=scoped, kind="cost_spike", severity="high", cause="x", current_nano=5, limit_nano=0)
    assert (_out(alert).budget_limit, _out(alert).current_cost) == (None, "0.000000005")
