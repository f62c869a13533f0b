"""Large usage files: the upload only stores them; a scheduler compares each once, however often it is killed."""

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
    """Ends a run as a kill does: nothing after it happens, and its transaction is rolled back."""


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "AT_ONCE_BYTES", 0)


@pytest.fixture
def client(finance: User, client_of: Browser) -> Client:
    return client_of(finance)


def pages_of(client: Client, text: str) -> str:
    response = send(client, text)
    assert response.status_code == 302
    return response.headers["Location"]


def rows_of(organization: Organization) -> tuple[int, int, int]:
    """How many files wait or failed, how many were compared, and their lines."""
    with organization_scope(organization.pk):
        return InvoiceUpload.objects.count(), InvoiceImport.objects.count(), InvoiceLine.objects.count()


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    moment: datetime = NOW + by
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_an_upload_returns_at_once_and_one_page_shows_progress_and_result(
    organization: Organization, client: Client, book: Book
) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    page = pages_of(client, FILE)
    assert rows_of(organization) == (1, 0, 0)
    assert "Waiting to be compared" in client.get(page).text
    assert "Waiting to be compared" in client.get(page, headers={"HX-Request": "true"}).text
    assert "waiting" in client.get(reverse("finance_invoices")).text
    import_waiting()
    assert rows_of(organization)[:2] == (0, 1)
    assert client.get(page, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Lines that differ" in client.get(page).text


def test_a_file_that_cannot_be_read_says_where_and_keeps_nothing_of_it(
    organization: Organization, client: Client
) -> None:
    page = pages_of(client, WRONG)
    import_waiting()
    assert "Line 2, column input_tokens" in client.get(page).text
    assert "not compared" in client.get(reverse("finance_invoices")).text
    with organization_scope(organization.pk):
        assert bytes(InvoiceUpload.objects.get().content) == b""
    import_waiting()
    assert rows_of(organization) == (1, 0, 0)


def test_a_file_that_failed_can_be_uploaded_again(organization: Organization, client: Client) -> None:
    first = pages_of(client, WRONG)
    import_waiting()
    again = pages_of(client, WRONG)
    assert again != first
    assert rows_of(organization) == (1, 0, 0)
    assert "Waiting" in client.get(again).text


def test_failed_files_are_forgotten_after_a_week(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages_of(client, WRONG)
    import_waiting()
    pages_of(client, FILE)
    later(monkeypatch, timedelta(days=8))
    delete_failed()
    with organization_scope(organization.pk):
        assert [upload.error for upload in InvoiceUpload.objects.all()] == [""]


def test_the_same_file_twice_is_compared_once(organization: Organization, client: Client) -> None:
    first = pages_of(client, FILE)
    assert pages_of(client, FILE) == first
    import_waiting()
    assert pages_of(client, FILE) == first
    assert rows_of(organization)[:2] == (0, 1)


def test_a_run_that_is_killed_loses_nothing_and_doubles_nothing(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pages_of(client, FILE)

    def kill(**_: object) -> None:
        raise KilledError

    with monkeypatch.context() as killed:
        killed.setattr(invoice_import.audit, "record", kill)  # the last step of the transaction
        with pytest.raises(KilledError):
            import_waiting()
    assert rows_of(organization) == (1, 0, 0)
    assert "Comparing" in client.get(page).text
    import_waiting()  # another scheduler, while the claim holds
    assert rows_of(organization) == (1, 0, 0)
    later(monkeypatch, uploads.CLAIM * 2)
    import_waiting()
    waiting, imports, lines = rows_of(organization)
    assert (waiting, imports) == (0, 1)
    import_waiting()
    assert rows_of(organization) == (0, 1, lines)


def test_a_file_that_kills_its_scheduler_is_given_up(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pages_of(client, FILE)

    def kill(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(invoice_import, "read_file", kill)
    for number in range(TRIES_MAX):
        later(monkeypatch, uploads.CLAIM * 2 * number)
        with pytest.raises(KilledError):
            import_waiting()
    later(monkeypatch, uploads.CLAIM * 2 * TRIES_MAX)
    import_waiting()
    assert GAVE_UP in client.get(page).text


def test_an_internal_error_gives_the_file_up_and_not_the_others(
    organization: Organization, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = pages_of(client, FILE), pages_of(client, usage((7, "gpt-4", 1, 0)))
    with organization_scope(organization.pk):
        broken = InvoiceUpload.objects.get(pk=page.rstrip("/").rpartition("/")[2])
        broken.content = b"not compressed"
        broken.save()
    import_waiting()
    assert GAVE_UP in client.get(page).text
    assert "Lines that differ" in client.get(other).text


def test_a_file_that_was_compared_in_the_meantime_is_not_kept(organization: Organization, client: Client) -> None:
    pages_of(client, FILE)
    with organization_scope(organization.pk):
        content = zlib.decompress(InvoiceUpload.objects.get().content)
        invoice_import.import_file(
            organization_id=organization.pk, provider="openai", name="usage.csv", content=content, actor="user:finance"
        )
    import_waiting()
    assert rows_of(organization)[:2] == (0, 1)


def test_an_organization_has_a_few_files_waiting_and_others_are_not_affected(
    organization: Organization, client: Client, stranger: User, client_of: Browser
) -> None:
    for day in range(1, WAITING_MAX + 1):
        pages_of(client, usage((day, "gpt-4", 1, 0)))
    assert send(client, FILE).status_code == 422
    assert rows_of(organization)[0] == WAITING_MAX
    page = pages_of(client_of(stranger), FILE)
    assert client.get(page).status_code == 404


def test_the_list_reads_no_files(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pages_of(client, FILE)
    with django_assert_num_queries(7) as queries:
        client.get(reverse("finance_invoices"))
    assert not [query for query in queries.captured_queries if '"content"' in query["sql"]]
