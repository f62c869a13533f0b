"""The pages of imported invoices."""

from collections.abc import Callable
from unittest.mock import patch

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance import screens
from cost_app.finance.invoices import causes
from cost_app.finance.invoices.invoice_import import Upload
from cost_app.models import InvoiceImport
from tests.cost_app.finance.conftest import Book, at
from tests.cost_app.finance.test_exports import lines
from tests.cost_app.finance.test_invoices import Browser, usage


def send(client: Client, text: str, provider: str = "openai", name: str = "usage.csv", **options: bool) -> HttpResponse:
    file = SimpleUploadedFile(name, text.encode(), content_type="text/csv")
    return client.post(reverse("finance_invoice_upload"), {"provider": provider, "file": file}, **options)


def test_finance_member_can_upload_a_file(finance: User, client_of: Browser, book: Book) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    client = client_of(finance)
    page = send(client, usage((5, "gpt-4", 5_000, 0)), follow=True)
    assert page.status_code == 200
    assert escape(causes.NOT_THROUGH_US) in page.text
    assert "1 of 1 differ" in client.get(reverse("finance_invoices")).text
    again = send(client, usage((5, "gpt-4", 5_000, 0)), follow=True)
    assert "This file was already uploaded on Nov 18, 13:00 by finance." in again.text


def test_an_invalid_file_stores_nothing_and_names_the_position(
    organization: Organization, finance: User, client_of: Browser
) -> None:
    response = send(client_of(finance), usage((5, "gpt-4", 5_000, 0)).replace("5000", "x"))
    assert response.status_code == 422
    assert "Line 2, column input_tokens: &#x27;x&#x27; is not a number" in response.text
    with organization_scope(organization.pk):
        assert not InvoiceImport.objects.exists()


def test_missing_multiple_or_oversized_file_returns_422(finance: User, client_of: Browser) -> None:
    client = client_of(finance)
    assert client.post(reverse("finance_invoice_upload"), {"provider": "openai"}).status_code == 422
    assert send(client, "", provider="acme").status_code == 422
    two = {"provider": "openai", "file": [SimpleUploadedFile(name, b"x") for name in ("a.csv", "b.csv")]}
    assert "Choose one file." in client.post(reverse("finance_invoice_upload"), two).text
    with patch("cost_app.finance.forms.BYTES_MAX", 10):
        response = send(client, usage((5, "gpt-4", 1, 0)))
    assert response.status_code == 422
    assert "The file is larger than 10 MB" in response.text


def test_pages_neither_lose_nor_repeat_lines(
    finance: User, client_of: Browser, upload: Callable[..., Upload], book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "LINES_A_PAGE", 2)
    book(at(10, 3), 1, input_tokens=3)
    invoice = upload(usage(*((day, "gpt-4", day, 0) for day in range(1, 7)))).invoice
    client, url, seen = client_of(finance), reverse("finance_invoice", args=[invoice.pk]), []
    after = "0"
    while after:
        page = client.get(url, {"after": after}).context["page"]
        seen += [line.day.day for line in page.lines]
        after = str(page.next_after or "")
    assert seen == [1, 2, 4, 5, 6]
    assert len(client.get(url, {"all": "1"}).context["page"].lines) == 2
    assert client.get(url, {"after": "x"}).context["page"].lines[0].day.day == 1


def test_downloaded_file_contains_every_line(finance: User, client_of: Browser, upload: Callable[..., Upload]) -> None:
    invoice = upload(usage((5, "=gpt", 7, 0))).invoice
    [line] = lines(client_of(finance).get(reverse("finance_invoice_file", args=[invoice.pk])))
    assert (line["model"], line["file_tokens"], line["ledger_tokens"], line["file_cost"]) == ("'=gpt", "7", "0", "")


def test_matching_file_says_so(finance: User, client_of: Browser, upload: Callable[..., Upload], book: Book) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    invoice = upload(usage((5, "gpt-4", 1_000, 0))).invoice
    assert "File and ledger agree" in client_of(finance).get(reverse("finance_invoice", args=[invoice.pk])).text


def test_other_organizations_get_404_and_operators_get_403(
    stranger: User, operator: User, client_of: Browser, upload: Callable[..., Upload]
) -> None:
    invoice = upload(usage((5, "gpt-4", 1_000, 0))).invoice
    for name in ("finance_invoice", "finance_invoice_file"):
        assert client_of(stranger).get(reverse(name, args=[invoice.pk])).status_code == 404
        assert client_of(operator).get(reverse(name, args=[invoice.pk])).status_code == 403
    assert send(client_of(operator), usage((5, "gpt-4", 1, 0))).status_code == 403
    assert client_of(stranger).get(reverse("finance_invoice_upload")).status_code == 405
    assert "No files yet" in client_of(stranger).get(reverse("finance_invoices")).text


def test_list_runs_the_same_number_of_queries_with_more_files(
    finance: User, client_of: Browser, upload: Callable[..., Upload], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client, url = client_of(finance), reverse("finance_invoices")
    upload(usage((5, "gpt-4", 1, 0)))
    with django_assert_num_queries(7):
        client.get(url)
    for day in range(6, 15):
        upload(usage((day, "gpt-4", 1, 0)))
    with django_assert_num_queries(7):
        client.get(url)
