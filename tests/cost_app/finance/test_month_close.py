from collections.abc import Callable
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.calendar import Calendar
from cost_app.finance.month_close import NotClosableError, close_month, close_states, verify
from cost_app.finance.months import month_from, months_of
from cost_app.finance.statement import statement_of
from cost_app.ledger.rollups import fold, follow_time_zones
from cost_app.models import CostPolicy, LedgerKind, MonthClose, UsageDay
from tests.cost_app.finance.conftest import OCTOBER, Book, Close, at

Browser = Callable[[User], Client]


def test_closing_stores_the_figures_of_the_month(organization: Organization, book: Book, close: Close) -> None:
    book(at(9, 30), 7)
    book(at(10, 5), 10, tags=["web"], input_tokens=3)
    last = book(at(10, 31), 20, model="gpt-3.5-turbo")
    book(at(11, 1), 40)
    made = close()
    assert made.snapshot["totals"]["nano"] == 30
    assert made.snapshot["ledger"] == {"rows": 2, "max_id": last.pk}
    assert {name: row["nano"] for name, row in made.snapshot["by"]["model"].items()} == {
        "openai/gpt-4": 10,
        "openai/gpt-3.5-turbo": 20,
    }
    assert {name: row["nano"] for name, row in made.snapshot["by"]["tag"].items()} == {"web": 10, "": 20}
    assert set(made.snapshot["by"]) == {"provider", "model", "api_key", "user", "tag"}
    with organization_scope(organization.pk):
        event = AuditEvent.objects.get(verb="month.closed")
    assert (event.actor, event.target) == ("user:finance", "October 2026")


def test_stored_close_can_be_verified(organization: Organization, book: Book, close: Close) -> None:
    book(at(10, 5), 10, tags=["ü", "x"], user_ref="z")
    close()
    with organization_scope(organization.pk):
        assert verify(MonthClose.objects.get())


@pytest.mark.parametrize(
    "tamper",
    [
        lambda close: close.snapshot["totals"].update(nano=9),
        lambda close: close.snapshot["by"]["model"]["openai/gpt-4"].update(nano=9),
        lambda close: close.snapshot["ledger"].update(rows=2),
        lambda close: setattr(close, "closed_by", "user:other"),
        lambda close: setattr(close, "closed_at", at(11, 2)),
        lambda close: setattr(close, "last_day", at(10, 30).date()),
        lambda close: setattr(close, "organization_id", 0),
        lambda close: setattr(close, "signature", close.signature[:-1] + "x"),
    ],
)
def test_any_change_of_a_closed_month_is_detected(
    book: Book, close: Close, tamper: Callable[[MonthClose], None]
) -> None:
    book(at(10, 5), 10)
    made = close()
    assert verify(made)
    tamper(made)
    assert not verify(made)


def test_verification_after_a_key_rotation_requires_the_old_key_as_fallback(
    book: Book, close: Close, settings: Settings
) -> None:
    book(at(10, 5), 10)
    made = close()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another one"
    assert not verify(made)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert verify(made)


def test_a_closed_month_cannot_be_changed_or_removed(organization: Organization, book: Book, close: Close) -> None:
    book(at(10, 5), 10)
    close()
    with organization_scope(organization.pk):
        with pytest.raises(DatabaseError), transaction.atomic():
            MonthClose.objects.update(closed_by="nobody")
        with pytest.raises(DatabaseError), transaction.atomic():
            MonthClose.objects.all().delete()
        assert MonthClose.objects.get().closed_by == "user:finance"


def test_later_entries_are_shown_as_corrections(organization: Organization, book: Book, close: Close) -> None:
    book(at(10, 5), 10)
    close()
    book(at(10, 6), -3, kind=LedgerKind.ADJUST, calls=0)
    book(at(11, 6), 100)
    fold()
    with organization_scope(organization.pk):
        state = close_states(organization.pk)[OCTOBER]
    assert (state.word, state.corrections_nano) == ("verified", -3)


def test_closing_a_month_again_returns_the_first_close(organization: Organization, book: Book, close: Close) -> None:
    book(at(10, 5), 10)
    first = close()
    book(at(10, 6), 5)
    assert close().pk == first.pk
    with organization_scope(organization.pk):
        assert AuditEvent.objects.filter(verb="month.closed").count() == 1


def test_closed_month_keeps_the_names_at_its_close(
    organization: Organization, finance: User, client_of: Browser, book: Book, close: Close
) -> None:
    key, _ = create_key(organization=organization, name="shop", role=Role.VIEWER, actor="command:test")
    book(at(10, 5), 10, api_key=key, user_ref="anna")
    book(at(10, 6), 3)
    made = close()
    with organization_scope(organization.pk):
        ApiKey.objects.filter(pk=key.pk).update(name="renamed")
    assert {value: (row["nano"], row["name"]) for value, row in made.snapshot["by"]["api_key"].items()} == {
        key.key_id: (10, "shop"),
        "": (3, ""),
    }
    assert {value: row["nano"] for value, row in made.snapshot["by"]["user"].items()} == {"anna": 10, "": 3}
    page = client_of(finance).get(reverse("finance_closed", args=[OCTOBER])).text
    for shown in (f"shop ({key.key_id})", "anna", "without a key", "without a user"):
        assert shown in page
    assert "renamed" not in page


def test_month_signed_with_row_ids_shows_current_names(
    organization: Organization, finance: User, client_of: Browser
) -> None:
    key, _ = create_key(organization=organization, name="shop", role=Role.VIEWER, actor="command:test")
    sums = {"nano": 5, "calls": 1}
    with organization_scope(organization.pk):
        MonthClose.objects.create(
            organization=organization, first_day=at(10, 1).date(), last_day=at(10, 31).date(), signature="x",
            snapshot={"by": {"api_key": {str(key.pk): sums, "": sums}}}, closed_by="user:x",
        )  # fmt: skip
    page = client_of(finance).get(reverse("finance_closed", args=[OCTOBER])).text
    assert f"shop ({key.key_id})" in page


# Calendar changes


def change_calendar(organization: Organization, zone: str = "", starts_on: int = 1) -> None:
    """Change the organization's calendar and update its rollups."""
    Organization.objects.filter(pk=organization.pk).update(time_zone=zone or organization.time_zone)
    with organization_scope(organization.pk):
        CostPolicy.objects.update_or_create(organization=organization, defaults={"month_starts_on": starts_on})
    follow_time_zones()


@pytest.mark.parametrize(("zone", "starts_on"), [("", 15), ("America/New_York", 1), ("Asia/Kolkata", 20)])
def test_a_closed_month_keeps_its_bounds_and_figures_when_the_calendar_changes(
    organization: Organization, finance: User, client_of: Browser, book: Book, close: Close, zone: str, starts_on: int
) -> None:
    book(at(9, 30, 22), 10)  # October's first instant in Berlin
    book(at(10, 31, 22), 20)
    book(at(10, 31, 23), 40)  # in November
    close()
    change_calendar(organization, zone, starts_on)
    with organization_scope(organization.pk):
        state = close_states(organization.pk)[OCTOBER]
        months = months_of(organization.pk)
    assert (state.word, state.corrections_nano) == ("verified", 0)
    assert state.month in months
    assert [later.starts_at for later, _ in pairwise(months)] == [earlier.ends_at for _, earlier in pairwise(months)]
    client = client_of(finance)
    assert "closed, verified" in client.get(reverse("finance")).text
    assert client.get(reverse("finance_statement", args=[OCTOBER])).status_code == 200
    book(at(10, 20), -3, kind=LedgerKind.ADJUST, calls=0)
    fold()
    with organization_scope(organization.pk):
        assert close_states(organization.pk)[OCTOBER].corrections_nano == -3
        assert statement_of(organization.pk, state.month).total.nano == 27


@pytest.mark.parametrize(("zone", "starts_on"), [("", 15), ("America/New_York", 1), ("Asia/Kolkata", 1)])
def test_month_after_a_closed_one_starts_where_it_ended(
    organization: Organization, book: Book, close: Close, zone: str, starts_on: int
) -> None:
    """An entry on the boundary is in exactly one closed month, and the close agrees with the ledger."""
    book(at(8, 10), 1)
    book(at(8, 31, 21), 2)  # 23:00 in Berlin
    book(at(8, 31, 22), 4)  # September in Berlin, August in New York
    august = close("2026-08-01")
    change_calendar(organization, zone, starts_on)
    with organization_scope(organization.pk):
        following = next(m for m in months_of(organization.pk)[::-1] if m.starts_at > closed_bounds(august)[0])
    assert following.starts_at == closed_bounds(august)[1]
    september = close(following.slug)
    assert [august.snapshot["totals"]["nano"], september.snapshot["totals"]["nano"]] == [3, 4]
    assert september.snapshot["by"]["model"]["openai/gpt-4"]["nano"] == 4


def closed_bounds(close: MonthClose) -> tuple[datetime, datetime]:
    starts_at, ends_at = (datetime.fromisoformat(close.snapshot[name]) for name in ("starts_at", "ends_at"))
    return starts_at, ends_at


def test_month_that_overlaps_a_closed_one_cannot_be_closed(
    organization: Organization, book: Book, close: Close
) -> None:
    """The caller's list of months is older than the close."""
    book(at(10, 5), 10)
    with organization_scope(organization.pk):
        month = month_from(Calendar(ZoneInfo("Europe/Berlin"), 15), date(2026, 9, 20))
    close()
    with organization_scope(organization.pk), pytest.raises(NotClosableError, match="overlaps October 2026"):
        close_month(organization=organization, month=month, actor="user:finance")


def test_the_current_month_cannot_be_closed(close: Close) -> None:
    with pytest.raises(NotClosableError, match="not over yet"):
        close("2026-11-01")


def test_a_month_whose_rollups_differ_from_the_ledger_cannot_be_closed(
    organization: Organization, book: Book, close: Close
) -> None:
    book(at(10, 5), 10)
    fold()
    with organization_scope(organization.pk):
        UsageDay.objects.filter(dimension="total").update(nano=11)
    with pytest.raises(NotClosableError, match="rebuild_rollups"):
        close()
