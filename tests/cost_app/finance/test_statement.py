from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance import statement as module
from cost_app.finance.months import find_month, months_of
from cost_app.finance.statement import statement_of
from cost_app.ledger.rollups import differences, fold
from cost_app.models import CostPolicy
from tests.cost_app.finance.conftest import Book, at
from tests.cost_app.finance.test_exports import lines

Browser = Callable[[User], Client]
OCTOBER = "2026-10-01"


def page(client: Client, slug: str = OCTOBER) -> str:
    response = client.get(reverse("finance_statement", args=[slug]))
    assert response.status_code == 200
    return response.text


def test_a_statement_shows_spending_by_dimension(
    organization: Organization, finance: User, client_of: Browser, book: Book
) -> None:
    key, _ = create_key(organization=organization, name="shop", role=Role.VIEWER, actor="command:test")
    book(at(10, 5), 2_000_000_000, api_key=key, user_ref="anna", tags=["web", "eu"], input_tokens=1_000)
    book(at(10, 6), 1_000_000_000, user_ref="ben", errors=1)
    book(at(9, 6), 9_000_000_000, user_ref="carl")
    fold()
    with organization_scope(organization.pk):
        month = find_month(organization.pk, OCTOBER)
        assert month
        found = statement_of(organization.pk, month)
    assert (found.total.nano, found.total.calls, found.total.errors) == (3_000_000_000, 2, 1)
    names = {section.title: [(line.name, line.nano) for line in section.lines] for section in found.sections}
    assert names == {
        "By model": [("openai/gpt-4", 3_000_000_000)],
        "By API key": [(f"shop ({key.key_id})", 2_000_000_000), ("without a key", 1_000_000_000)],
        "By user": [("anna", 2_000_000_000), ("ben", 1_000_000_000)],
        "By tag": [("eu", 2_000_000_000), ("web", 2_000_000_000), ("without a tag", 1_000_000_000)],
    }
    assert [section.total is None for section in found.sections] == [False, False, False, True]
    text = page(client_of(finance))
    assert "$3.00" in text
    assert "carl" not in text
    assert text.count('<th scope="row">Total</th>') == 3  # a call can have several tags, so tags don't add up
    for head in ("Model", "API key", "User", "Tag"):
        assert f'<th scope="col">{head}</th>' in text


def test_amounts_in_a_statement_have_two_decimals(finance: User, client_of: Browser, book: Book) -> None:
    book(at(10, 5), 12_345_678_900_000_000, user_ref="anna")
    book(at(10, 6), 123_400_000, user_ref="ben")
    book(at(10, 6), 42_000, user_ref="carl")
    fold()
    text = page(client_of(finance))
    assert "$12,345,678.90" in text and "$0.12" in text and "&lt;$0.01" in text
    assert "$0.1234" not in text and "$0.000042" not in text


def test_hidden_lines_are_summed_and_included_in_the_file(
    finance: User, client_of: Browser, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINES_SHOWN", 2)
    for number in range(1, 6):
        book(at(10, 5), number * 1_000_000_000, user_ref=f"=user{number}")
    fold()
    client = client_of(finance)
    assert "$6.00" in page(client)  # 1 + 2 + 3
    found = lines(client.get(reverse("finance_statement_file", args=[OCTOBER])))
    assert [line["name"] for line in found if line["section"] == "user"] == [f"'=user{n}" for n in (5, 4, 3, 2, 1)]
    assert found[0]["section"] == "total"
    assert found[0]["cost"] == "15.00"


def test_months_start_on_the_organization_s_fiscal_day(organization: Organization, book: Book) -> None:
    with organization_scope(organization.pk):
        CostPolicy.objects.create(organization=organization, month_starts_on=15)
    book(at(9, 20), 1)
    fold()
    with organization_scope(organization.pk):
        assert [str(month) for month in months_of(organization.pk)] == [
            "2026-11-15 to 2026-12-14",
            "2026-10-15 to 2026-11-14",
            "2026-09-15 to 2026-10-14",
        ]


@pytest.mark.parametrize("slug", ["2026-10-02", "2026-12-01", "october", "2026-13-01", "9999-12-01"])
def test_an_invalid_month_is_not_found(finance: User, client_of: Browser, slug: str) -> None:
    for name in ("finance_statement", "finance_statement_file"):
        assert client_of(finance).get(reverse(name, args=[slug])).status_code == 404


def test_month_without_entries_says_so(finance: User, client_of: Browser) -> None:
    assert "Nothing was booked in this month" in page(client_of(finance))
    assert "No months yet" in client_of(finance).get(reverse("finance")).text


def test_months_are_listed_with_their_cost(finance: User, client_of: Browser, book: Book) -> None:
    book(at(9, 5), 2_000_000_000)
    book(at(11, 5), 3_000_000_000)
    fold()
    text = client_of(finance).get(reverse("finance")).text
    places = [text.index(f">{name}<") for name in ("November 2026", "October 2026", "September 2026")]
    assert places == sorted(places)
    assert "in progress" in text
    assert "$2.00" in text


def test_pages_run_the_same_number_of_queries_with_more_rows(
    finance: User, client_of: Browser, book: Book, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_of(finance)
    urls = {reverse("finance"): 12, reverse("finance_statement", args=[OCTOBER]): 15}
    book(at(10, 5), 1, user_ref="u0")
    fold()
    for url, queries in urls.items():
        with django_assert_num_queries(queries):
            client.get(url)
    for number in range(1, 10):
        book(at(number, 5), 1, user_ref=f"u{number}", model=f"m{number}", tags=[f"t{number}"])
        book(at(10, number), 1, user_ref=f"u{number}", model=f"m{number}", tags=[f"t{number}"])
    fold()
    for url, queries in urls.items():
        with django_assert_num_queries(queries):
            client.get(url)


def test_pages_require_the_finance_role(viewer: User, client_of: Browser) -> None:
    for url in (reverse("finance"), reverse("finance_statement", args=[OCTOBER])):
        assert client_of(viewer).get(url).status_code == 403
        assert client_of(viewer).post(url).status_code in {403, 405}
        assert Client().get(url).status_code == 302


def test_1h_cache_writes_have_a_column_that_matches_the_ledger(
    organization: Organization, finance: User, client_of: Browser, book: Book
) -> None:
    book(at(10, 5), 10, user_ref="anna", cache_write_tokens=8, cache_write_1h_tokens=5)
    book(at(10, 9), 10, user_ref="anna", cache_write_tokens=2)
    fold()
    found = lines(client_of(finance).get(reverse("finance_statement_file", args=[OCTOBER])))
    by_name = {row["name"]: row for row in found}
    assert (by_name["anna"]["cache_write_tokens"], by_name["anna"]["cache_write_1h_tokens"]) == ("10", "5")
    assert by_name["Total"]["cache_write_1h_tokens"] == "5"
    with organization_scope(organization.pk):
        assert differences(organization.pk) == []
