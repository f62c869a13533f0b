"""Names in any script and time zones with unusual offsets: every export is valid CSV, and all exports agree."""

import random
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.finance.month_close import close_month, verify
from cost_app.finance.months import find_month
from cost_app.ledger.rollups import differences, fold
from cost_app.models import LedgerEntry
from tests.api.support import COST, EXPORTS, Caller, new_key
from tests.cost_app.finance.conftest import Book
from tests.cost_app.finance.test_exports import lines

NAMES = [
    "שלום \u202eevil\u202c",
    "👩\u200d💻🇫🇷",
    "=cmd|' /C calc'!A0",
    "+1;2\t3",
    '"quoted", and;more',
    "line\nbreak\r\nand more",
    "n" * 120,
    "ünï\u0301 ①",
    "@SUM(A1)",
    "'; DROP TABLE x; --",
]
ZONES = ["Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "Europe/Berlin"]


@pytest.fixture
def finance_key(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.FINANCE, ["finance:read"]))


@pytest.fixture
def tracker(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.OPERATOR, ["usage:write", "user:name"]))


def test_reported_names_in_any_script_are_in_every_export(
    organization: Organization, tracker: Caller, finance_key: Caller
) -> None:
    for name in NAMES:
        body = {
            "provider": "deepseek",
            "model": "deepseek-chat",
            "usage": {"promptTokens": 1000, "completionTokens": 1},
        }
        tags = [name[:64]] if name[:64].strip() else []
        answer = tracker.post(COST, {"action": "track", **body, "userId": name, "tags": tags})
        assert answer.status_code in {200, 201}, (name, answer.content)
    fold()
    with organization_scope(organization.pk):
        total = sum(LedgerEntry.objects.values_list("nano", flat=True))
        first = LedgerEntry.objects.earliest("at").at.date().replace(day=1)
        assert differences(organization.pk) == []
    span = {"first": first.isoformat(), "last": (first + timedelta(days=45)).isoformat()}
    ledger = lines(finance_key.get(EXPORTS, action="ledger", **span))
    focus = lines(finance_key.get(EXPORTS, action="focus", **span))
    statement = lines(finance_key.get(EXPORTS, action="statement", month=first.isoformat()))
    assert sum(Decimal(row["cost"]) for row in ledger) * 10**9 == total
    assert sum(Decimal(row["BilledCost"]) for row in focus) * 10**9 == total
    by_user = [row for row in statement if row["section"] == "user"]
    assert len(by_user) == len(NAMES)
    assert sum(Decimal(row["cost"]) for row in by_user) == Decimal(statement[0]["cost"])


@pytest.mark.parametrize("name", ["a\0b", "x" * 129, "\ud800", 5, ["a"]])
def test_name_that_cannot_be_stored_is_rejected(tracker: Caller, name: object) -> None:
    body = {"provider": "deepseek", "model": "deepseek-chat", "usage": {"promptTokens": 1, "completionTokens": 1}}
    answer = tracker.post(COST, {"action": "track", **body, "userId": name})
    assert answer.status_code == 400, answer.content
    with system_scope():
        assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize("zone", ZONES)
def test_every_entry_is_in_one_month_in_every_time_zone(organization: Organization, book: Book, zone: str) -> None:
    organization.time_zone = zone
    organization.save()
    source, start = random.Random(zone), datetime(2026, 9, 1, tzinfo=ZoneInfo("UTC"))
    for number in range(60):
        book(start + timedelta(minutes=source.randrange(60 * 24 * 60)), number + 1)
    fold()
    with organization_scope(organization.pk):
        months = [find_month(organization.pk, first) for first in ("2026-09-01", "2026-10-01")]
        assert all(months)
        assert months[0].ends_at == months[1].starts_at  # type: ignore[union-attr]
        for month in filter(None, months):
            entries = LedgerEntry.objects.filter(at__gte=month.starts_at, at__lt=month.ends_at)
            close = close_month(organization=organization, month=month, actor="user:finance").close
            assert close.snapshot["totals"]["nano"] == sum(entries.values_list("nano", flat=True))
            assert verify(close)
        assert differences(organization.pk) == []
