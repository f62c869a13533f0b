"""The pages of closed months."""

import json

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.month_close import close_states, sign
from cost_app.ledger.rollups import fold
from cost_app.models import MonthClose
from tests.cost_app.finance.conftest import OCTOBER, Book, Close, at
from tests.cost_app.finance.test_month_close import Browser


def test_finance_member_can_close_a_month(finance: User, client_of: Browser, book: Book) -> None:
    book(at(10, 5), 2_000_000_000)
    client = client_of(finance)
    assert "Close month" in _fold_and_get(client, reverse("finance_statement", args=[OCTOBER]))
    response = client.post(reverse("finance_close", args=[OCTOBER]), follow=True)
    assert response.redirect_chain == [(reverse("finance_closed", args=[OCTOBER]), 302)]
    assert "October 2026 closed." in response.text
    assert "hmac-sha256:" in response.text
    assert "closed, verified" in client.get(reverse("finance")).text
    assert "signature verified" in client.get(reverse("finance_statement", args=[OCTOBER])).text
    again = client.post(reverse("finance_close", args=[OCTOBER]), follow=True)
    assert again.redirect_chain == response.redirect_chain
    assert "October 2026 was already closed by user:finance" in again.text


def _fold_and_get(client: Client, url: str) -> str:
    fold()
    return client.get(url).text


def test_the_signed_figures_can_be_downloaded(
    organization: Organization, finance: User, client_of: Browser, book: Book, close: Close, settings: Settings
) -> None:
    book(at(10, 5), 10)
    made = close()
    response = client_of(finance).get(reverse("finance_closed_file", args=[OCTOBER]))
    content = json.loads(response.content)
    assert content["snapshot"] == made.snapshot
    assert content["signature"] == sign(made, settings.SECRET_KEY)
    assert "attachment" in response["Content-Disposition"]


@pytest.mark.parametrize("snapshot", [{"totals": {"nano": 1}}, {}, [], {"by": {"model": 3}}, {"totals": 5, "by": []}])
def test_a_tampered_month_is_shown_on_every_page(
    organization: Organization, finance: User, client_of: Browser, book: Book, snapshot: object
) -> None:
    book(at(10, 5), 10)
    fold()
    with organization_scope(organization.pk):
        MonthClose.objects.create(
            organization=organization, first_day=at(10, 1).date(), last_day=at(10, 31).date(), snapshot=snapshot,
            signature="hmac-sha256:00", closed_by="user:x",
        )  # fmt: skip
    client = client_of(finance)
    assert "closed, tampered" in client.get(reverse("finance")).text
    for name in ("finance_statement", "finance_closed"):
        assert "do not match the signature" in client.get(reverse(name, args=[OCTOBER])).text


def test_an_open_month_has_no_close_page(
    finance: User, client_of: Browser, stranger: User, book: Book, close: Close
) -> None:
    assert client_of(finance).get(reverse("finance_closed", args=[OCTOBER])).status_code == 404
    book(at(10, 5), 10)
    close()
    for name in ("finance_closed", "finance_closed_file"):
        assert client_of(stranger).get(reverse(name, args=[OCTOBER])).status_code == 404


def test_closing_requires_permission_and_post(operator: User, finance: User, client_of: Browser) -> None:
    url = reverse("finance_close", args=[OCTOBER])
    assert client_of(operator).post(url).status_code == 403
    assert client_of(finance).get(url).status_code == 405
    assert client_of(finance).post(reverse("finance_close", args=["2026-10-02"])).status_code == 404


def test_query_count_does_not_grow_with_closed_months(
    organization: Organization, book: Book, close: Close, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for month in (7, 8, 9, 10):
        book(at(month, 5), 10)
    for month in ("07", "08", "09", "10"):
        close(f"2026-{month}-01")
    with organization_scope(organization.pk), django_assert_num_queries(3):
        assert len(close_states(organization.pk)) == 4
