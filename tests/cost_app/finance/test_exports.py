import csv
import io
import tracemalloc
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import NoOrganizationError, organization_scope
from cost_app.finance import exports
from cost_app.finance.exports import LEDGER_COLUMNS, ledger_csv
from cost_app.ledger.rollups import fold
from cost_app.models import LedgerEntry, LedgerKind
from tests.cost_app.finance.conftest import Book, at
from tests.support.ledger import book_entries

Browser = Callable[[User], Client]
OCTOBER = {"first": "2026-10-01", "last": "2026-10-31"}


def lines(response: object) -> list[dict[str, str]]:
    assert isinstance(response, StreamingHttpResponse)
    text = b"".join(response.streaming_content).decode()  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO(text, newline="")))


def all_of_october(organization: Organization) -> StreamingHttpResponse:
    with organization_scope(organization.pk):
        return ledger_csv(organization, date(2026, 10, 1), date(2026, 10, 31))


def export(client: Client, kind: str, **days: str) -> list[dict[str, str]]:
    response = client.get(reverse("finance_export_file"), {"kind": kind, **(days or OCTOBER)})
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in response["Content-Disposition"]
    return lines(response)


# Ledger


def test_ledger_export_uses_the_organization_s_time_zone(finance: User, client_of: Browser, book: Book) -> None:
    book(at(9, 30, 21), 1)  # 23:00 in Berlin
    book(at(9, 30, 22), 2)  # midnight
    book(at(10, 31, 22), 3)  # 23:00, after the clock change
    book(at(10, 31, 23), 4)
    assert [line["cost"] for line in export(client_of(finance), "ledger")] == ["0.000000002", "0.000000003"]


def test_ledger_row_has_all_columns(organization: Organization, finance: User, client_of: Browser, book: Book) -> None:
    key, _ = create_key(organization=organization, name="=cmd()", role=Role.VIEWER, actor="command:test")
    book(
        at(10, 5), -1_500_000_000, kind=LedgerKind.ADJUST, api_key=key, user_ref="@anna", tags=["a", "b"], priority=100,
        input_tokens=10, output_tokens=5, latency_ms=80, estimated=True, note="+49 30 1",
    )  # fmt: skip
    [line] = export(client_of(finance), "ledger")
    assert list(line) == LEDGER_COLUMNS
    assert line["at_utc"] == "2026-10-05T12:00:00.000000+00:00"
    assert line["cost"] == "-1.50"
    assert (line["kind"], line["model"], line["priority"], line["estimated"]) == ("adjust", "gpt-4", "100", "yes")
    assert line["tags"] == '["a", "b"]'
    assert [line["api_key"], line["user"], line["note"]] == [f"'=cmd() ({key.key_id})", "'@anna", "'+49 30 1"]


def test_batches_neither_lose_nor_repeat_rows_with_equal_times(
    organization: Organization, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 3)
    book(at(10, 7), 11)  # exported last, although it was written first
    for number in range(10):
        book(at(10, 5), number)
    book(at(10, 6), 10)
    found = lines(all_of_october(organization))
    assert [line["cost"] for line in found] == [f"{number / 1e9:.9f}" if number else "0.00" for number in range(10)] + [
        "0.00000001",
        "0.000000011",
    ]


def test_long_export_uses_no_more_memory_than_a_batch(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 100)
    with organization_scope(organization.pk):
        columns = {"organization": organization, "provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE}
        for day in range(4):
            moment = at(10, 1) + timedelta(days=day)
            book_entries([LedgerEntry(at=moment, nano=n, note="x" * 100, **columns) for n in range(500)])
    content = iter(all_of_october(organization))
    tracemalloc.start()
    rows = sum(chunk.count(b"\r\n") for chunk in content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 2_000 + 1
    assert peak < 3_000_000  # all rows together take 6 MB


def test_stream_does_not_leave_its_scope_in_the_thread(organization: Organization, book: Book) -> None:
    book(at(10, 5), 1)
    content = iter(all_of_october(organization))
    next(content)
    with pytest.raises(NoOrganizationError):
        LedgerEntry.objects.count()


def test_exports_exclude_rows_of_other_organizations(
    finance: User, client_of: Browser, book: Book, other_organization: Organization
) -> None:
    book(at(10, 5), 1, organization=other_organization)
    fold()
    assert export(client_of(finance), "ledger") == []
    assert export(client_of(finance), "focus") == []


# Page


def test_page_defaults_to_the_current_month(finance: User, client_of: Browser) -> None:
    page = client_of(finance).get(reverse("finance_exports")).text
    assert 'value="2026-11-01"' in page
    assert 'value="2026-11-18"' in page


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ({"first": "2026-10-31", "last": "2026-10-01"}, "The last day is before the first."),
        ({"first": "yesterday", "last": "2026-10-01"}, "Enter a valid date."),
        ({"first": "0001-01-01", "last": "2026-10-01"}, "in the year 2000 or later"),
        ({"first": "2026-10-01", "last": "9999-12-31"}, "in the year 2000 or later"),
        ({}, "This field is required."),
    ],
)
def test_invalid_days_return_422(finance: User, client_of: Browser, days: dict[str, str], message: str) -> None:
    response = client_of(finance).get(reverse("finance_export_file"), {"kind": "ledger", **days})
    assert response.status_code == 422
    assert message in response.text


def test_exports_require_the_finance_role(viewer: User, operator: User, client_of: Browser) -> None:
    for person in (viewer, operator):
        assert client_of(person).get(reverse("finance_export_file"), OCTOBER).status_code == 403
    assert client_of(viewer).post(reverse("finance_export_file")).status_code in {403, 405}
