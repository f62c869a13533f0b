"""A channel that was notified of an alert is notified once of its resolution."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.notifications.channels import add_channel, change_channel
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import NoOrganizationError, installation_scope, organization_scope, system_scope
from cost_app.alerts import notify
from cost_app.alerts.cause import Cause
from cost_app.alerts.checks import check_budgets, check_usage, follow_causes
from cost_app.alerts.lifecycle import acknowledge, resolve, snooze
from cost_app.budgets.windows import windows_now
from cost_app.models import Alert, AlertKind, Budget, BudgetWindow, Severity, UsageHour
from tests.cost_app.alerts.conftest import LAST_HOUR, NOW, USD
from tests.support.race import RunRace

KINDS = [AlertKind.QUEUE_DEPTH]
DEEP = Cause("depth", AlertKind.QUEUE_DEPTH, Severity.HIGH, "5,000 requests wait.", facts={"waiting": 5000})
MINUTE = timedelta(minutes=1)


@pytest.fixture
def channel(scoped: Organization) -> Channel:
    """A channel of the organization for all severities."""
    return make_channel(scoped.pk)


def make_channel(organization_id: int | None, min_severity: str = "low") -> Channel:
    return add_channel(
        organization_id=organization_id,
        kind="webhook",
        name="ops",
        target="https://example.com/hook",
        min_severity=min_severity,
        actor="user:admin",
    )[0]


def messages() -> list[dict[str, Any]]:
    with system_scope():
        return list(Delivery.objects.order_by("id").values_list("payload", flat=True))


def types() -> list[str]:
    return [message["type"] for message in messages()]


def follow(owner: int | None, *causes: Cause, at: datetime = NOW) -> None:
    follow_causes(owner, KINDS, causes, now=at)


def test_a_resolution_is_sent_once_to_the_notified_channel(channel: Channel, scoped: Organization) -> None:
    follow(scoped.pk, DEEP)
    for minutes in (1, 2, 3):
        follow(scoped.pk, at=NOW + minutes * MINUTE)
    opened, resolved = messages()
    assert (opened["type"], resolved["type"]) == ("alert.opened", "alert.resolved")
    assert resolved["title"] == "Resolved: Queue depth at North Ltd"
    assert "5,000 requests wait." in resolved["text"]
    assert resolved["topic"] == opened["topic"] != ""
    data = resolved["data"]
    assert (data["status"], data["resolution"], data["resolvedBy"]) == ("resolved", "ended", None)
    assert data["resolvedAt"] == (NOW + MINUTE).isoformat()
    assert (data["currentCost"], data["explanation"]) == (None, {"waiting": 5000})


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_kind_of_alert_notifies_of_its_resolution(
    channel: Channel, scoped: Organization, kind: AlertKind
) -> None:
    follow_causes(scoped.pk, [kind], [replace(DEEP, kind=kind)], now=NOW)
    follow_causes(scoped.pk, [kind], [], now=NOW + MINUTE)
    assert [message["data"]["type"] for message in messages()] == [kind, kind]
    assert types() == ["alert.opened", "alert.resolved"]


def test_a_spend_alert_resolution_includes_the_amount(
    channel: Channel, usual_traffic: None, scoped: Organization
) -> None:
    UsageHour.objects.filter(hour=LAST_HOUR).update(nano=4 * USD)
    check_usage(scoped.pk, NOW)
    check_usage(scoped.pk, NOW + timedelta(hours=1))
    assert types() == ["alert.opened", "alert.resolved"]
    assert messages()[1]["data"]["currentCost"] == "4.00"


def test_a_manual_resolution_is_sent(channel: Channel, scoped: Organization) -> None:
    follow(scoped.pk, DEEP)
    resolve(Alert.objects.get(), actor="user:operator")
    follow(scoped.pk, DEEP, at=NOW + MINUTE)
    follow(scoped.pk, at=NOW + 2 * MINUTE)
    assert types() == ["alert.opened", "alert.resolved"]
    assert messages()[1]["data"]["resolvedBy"] == "user:operator"
    assert messages()[1]["text"].startswith("Resolved by operator.")


@pytest.mark.parametrize("handle", [acknowledge, lambda alert, actor: snooze(alert, NOW + 60 * MINUTE, actor=actor)])
def test_resolutions_of_acknowledged_and_snoozed_alerts_are_sent(
    channel: Channel, scoped: Organization, handle: Callable[..., None]
) -> None:
    follow(scoped.pk, DEEP)
    handle(Alert.objects.get(), actor="user:operator")
    follow(scoped.pk, at=NOW + MINUTE)
    assert types() == ["alert.opened", "alert.resolved"]


def test_a_superseded_warning_says_so(channel: Channel, scoped: Organization) -> None:
    Budget.objects.create(organization=scoped, period="monthly", limit_nano=100 * USD)
    (window,) = windows_now(scoped.pk, NOW)
    for dollars in (80, 96):
        BudgetWindow.objects.filter(id=window.window.pk).update(committed_nano=dollars * USD)
        check_budgets(scoped.pk, NOW)
    assert types() == ["alert.opened", "alert.opened", "alert.resolved"]
    assert messages()[2]["data"]["resolution"] == "superseded"
    assert "96%" in messages()[2]["text"]


def test_a_reopening_within_five_minutes_and_its_end_send_nothing(channel: Channel, scoped: Organization) -> None:
    follow(scoped.pk, DEEP)
    follow(scoped.pk, at=NOW + MINUTE)
    follow(scoped.pk, DEEP, at=NOW + 2 * MINUTE)
    follow(scoped.pk, at=NOW + 3 * MINUTE)
    assert types() == ["alert.opened", "alert.resolved"]
    follow(scoped.pk, DEEP, at=NOW + 4 * MINUTE)
    follow(scoped.pk, DEEP, at=NOW + 6 * MINUTE)
    assert types() == ["alert.opened", "alert.resolved", "alert.opened"]


def test_only_notified_and_enabled_channels_get_the_resolution(channel: Channel, scoped: Organization) -> None:
    disabled, critical_only = make_channel(scoped.pk), make_channel(scoped.pk, "critical")
    follow(scoped.pk, DEEP)
    late = make_channel(scoped.pk)
    change_channel(channel=disabled, min_severity="low", enabled=False, actor="user:admin")
    change_channel(channel=channel, min_severity="critical", enabled=True, actor="user:admin")
    follow(scoped.pk, at=NOW + MINUTE)
    ends = Delivery.objects.filter(payload__type="alert.resolved")
    assert {each.channel_id for each in ends} == {channel.pk}
    assert not Delivery.objects.filter(channel__in=[critical_only, late]).exists()


def test_kept_cause_leaves_its_alert_open(channel: Channel, scoped: Organization) -> None:
    follow(scoped.pk, DEEP)
    follow_causes(scoped.pk, KINDS, [], kept=["depth"], now=NOW + MINUTE)
    assert (Alert.objects.get().state, types()) == ("open", ["alert.opened"])


def test_crash_before_the_commit_loses_neither_resolution_nor_message(
    channel: Channel, scoped: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State change and message are rolled back together, and the next check repeats both."""
    follow(scoped.pk, DEEP)
    with monkeypatch.context() as broken:
        broken.setattr(notify, "send_to", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            follow(scoped.pk, at=NOW + MINUTE)
    assert (Alert.objects.get().state, types()) == ("open", ["alert.opened"])
    follow(scoped.pk, at=NOW + 2 * MINUTE)
    assert (Alert.objects.get().state, types()) == ("resolved", ["alert.opened", "alert.resolved"])


def test_installation_and_organization_rows_are_isolated(channel: Channel, scoped: Organization) -> None:
    with installation_scope():
        theirs = make_channel(None)
    follow(None, DEEP)
    follow(scoped.pk, DEEP)
    for scope, own, owner in (
        (organization_scope(scoped.pk), channel, scoped.pk),
        (installation_scope(), theirs, None),
    ):
        with scope:
            assert Channel.objects.get() == own
            assert Alert.objects.get().organization_id == owner
            assert Delivery.objects.get().channel_id == own.pk
    with installation_scope(), pytest.raises(NoOrganizationError):
        Alert.objects.create(organization=scoped, kind="overrun", severity="low", cause="x")
    with organization_scope(scoped.pk), pytest.raises(NoOrganizationError):
        Alert.objects.create(organization=None, kind="overrun", severity="low", cause="x")
    with installation_scope():
        assert Budget.objects.count() == 0  # organization-only tables are empty in the installation's scope


def test_an_installation_alert_is_sent_once_and_links_to_the_staff_page(db: None) -> None:
    with installation_scope():
        make_channel(None)
    for minutes in (0, 1):
        follow(None, DEEP, at=NOW + minutes * MINUTE)
    (message,) = messages()
    with installation_scope():
        assert message["path"] == f"/installation/alerts/{Alert.objects.get().pk}/"
    assert message["title"] == "Queue depth at the installation"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_installation", [True, False])
def test_concurrent_schedulers_send_one_opening_and_one_resolution(
    organization: Organization, run_race: RunRace, is_installation: bool
) -> None:
    make_channel(None if is_installation else organization.pk)
    owner = "installation" if is_installation else str(organization.pk)
    for _ in range(2):  # the second round reopens an existing alert
        run_race("tests.cost_app.alerts.racers", [("begin", owner)] * 5)
        run_race("tests.cost_app.alerts.racers", [("end", owner)] * 5)
        with system_scope():
            assert Alert.objects.get().state == "resolved"
            assert types() == ["alert.opened", "alert.resolved"]
            Alert.objects.update(told_at=timezone.now() - timedelta(minutes=6))
            Delivery.objects.all().delete()
