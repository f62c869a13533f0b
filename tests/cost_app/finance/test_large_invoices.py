"""Large usage files: the upload only stores them, and a scheduler compares each file once despite crashes."""

import zlib
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.invoices import invoice_import, uploads
from cost_app.finance.invoices.uploads import GAVE_UP, TRIES_MAX, WAITING_MAX, delete_failed, import_waiting
from cost_app.models import InvoiceImport, InvoiceLine, InvoiceUpload
from tests.cost_app.finance.conftest import NOW, Book, at
from tests.cost_app.finance.test_invoice_pages import send
from tests.cost_app.finance.test_invoices import Browser, usage

FILE = usage((5, "gpt-4", 5_000, 0), (6, "gpt-4", 1_000, 0))
WRONG = FILE.replace("5000", "x")


class KilledError(BaseException):
    """Ends a run like a kill: the transaction is rolled back, and nothing else runs."""


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "AT_ONCE_BYTES", 0)


@pytest.fixture
def client(finance: User, client_of: Browser) -> Client:
    return client_of(finance)


def upload_page(client: Client, text: str) -> str:
    response = send(client, text)
    assert response.status_code == 302
    return response.headers["Location"]


def rows_of(organization: Organization) -> tuple[int, int, int]:
    """The numbers of pending or failed files, of compared files, and of their lines."""
    with organization_scope(organization.pk):
        return InvoiceUpload.objects.count(), InvoiceImport.objects.count(), InvoiceLine.objects.count()


def advance_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    moment: datetime = NOW + by
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_upload_returns_immediately_and_its_page_shows_progress_and_result(
    organization: Organization, client: Client, book: Book
) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    page = upload_page(client, FILE)
    assert rows_of(organization) == (1, 0, 0)
    assert "Waiting to be compared" in client.get(page).text
    assert "Waiting to be compared" in client.get(page, headers={"HX-Request": "true"}).text
    assert "waiting" in client.get(reverse("finance_invoices")).text
    import_waiting()
    assert rows_of(organization)[:2] == (0, 1)
    assert client.get(page, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Lines that differ" in client.get(page).text


def test_unreadable_file_shows_the_position_and_its_content_is_deleted(
    organization: Organization, client: Client
) -> None:
    page = upload_page(client, WRONG)
    import_waiting()
    assert "Line 2, column input_tokens" in client.get(page).text
    assert "not compared" in client.get(reverse("finance_invoices")).text
    with organization_scope(organization.pk):
        assert bytes(InvoiceUpload.objects.get().content) == b""
    import_waiting()
    assert rows_of(organization) == (1, 0, 0)


def test_failed_file_can_be_uploaded_again(organization: Organization, client: Client) -> None:
    first = upload_page(client, WRONG)
    import_waiting()
    again = upload_page(client, WRONG)
    assert again != first
    assert rows_of(organization) == (1, 0, 0)
    assert "Waiting" in client.get(again).text


def test_failed_files_are_deleted_after_a_week(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_page(client, WRONG)
    import_waiting()
    upload_page(client, FILE)
    advance_clock(monkeypatch, timedelta(days=8))
    delete_failed()
    with organization_scope(organization.pk):
        assert [upload.error for upload in InvoiceUpload.objects.all()] == [""]


def test_same_file_uploaded_twice_is_compared_once(organization: Organization, client: Client) -> None:
    first = upload_page(client, FILE)
    assert upload_page(client, FILE) == first
    import_waiting()
    assert upload_page(client, FILE) == first
    assert rows_of(organization)[:2] == (0, 1)


def test_killed_run_neither_loses_nor_repeats_a_comparison(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = upload_page(client, FILE)

    def kill(**_: object) -> None:
        raise KilledError

    with monkeypatch.context() as killed:
        killed.setattr(invoice_import.audit, "record", kill)  # last step of the transaction
        with pytest.raises(KilledError):
            import_waiting()
    assert rows_of(organization) == (1, 0, 0)
    assert "Comparing" in client.get(page).text
    import_waiting()  # another scheduler, before the claim expires
    assert rows_of(organization) == (1, 0, 0)
    advance_clock(monkeypatch, uploads.CLAIM * 2)
    import_waiting()
    waiting, imports, lines = rows_of(organization)
    assert (waiting, imports) == (0, 1)
    import_waiting()
    assert rows_of(organization) == (0, 1, lines)


def test_file_that_repeatedly_kills_its_scheduler_fails(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = upload_page(client, FILE)

    def kill(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(invoice_import, "read_file", kill)
    for number in range(TRIES_MAX):
        advance_clock(monkeypatch, uploads.CLAIM * 2 * number)
        with pytest.raises(KilledError):
            import_waiting()
    advance_clock(monkeypatch, uploads.CLAIM * 2 * TRIES_MAX)
    import_waiting()
    assert GAVE_UP in client.get(page).text


def test_internal_error_fails_only_its_own_file(organization: Organization, client: Client) -> None:
    page, other = upload_page(client, FILE), upload_page(client, usage((7, "gpt-4", 1, 0)))
    with organization_scope(organization.pk):
        broken = InvoiceUpload.objects.get(pk=page.rstrip("/").rpartition("/")[2])
        broken.content = b"not compressed"
        broken.save()
    import_waiting()
    assert GAVE_UP in client.get(page).text
    assert "Lines that differ" in client.get(other).text


def test_file_compared_in_the_meantime_is_not_kept(organization: Organization, client: Client) -> None:
    upload_page(client, FILE)
    with organization_scope(organization.pk):
        content = zlib.decompress(InvoiceUpload.objects.get().content)
        invoice_import.import_file(
            organization_id=organization.pk, provider="openai", name="usage.csv", content=content, actor="user:finance"
        )
    import_waiting()
    assert rows_of(organization)[:2] == (0, 1)


def test_pending_files_are_limited_per_organization(
    organization: Organization, client: Client, stranger: User, client_of: Browser
) -> None:
    for day in range(1, WAITING_MAX + 1):
        upload_page(client, usage((day, "gpt-4", 1, 0)))
    assert send(client, FILE).status_code == 422
    assert rows_of(organization)[0] == WAITING_MAX
    page = upload_page(client_of(stranger), FILE)
    assert client.get(page).status_code == 404


def test_list_does_not_load_file_contents(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    upload_page(client, FILE)
    with django_assert_num_queries(7) as queries:
        client.get(reverse("finance_invoices"))
    assert not [query for query in queries.captured_queries if '"content"' in query["sql"]]
