"""Comparison of usage files with the ledger: each likely cause of a difference."""

from collections.abc import Callable
from datetime import date
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.invoices import causes
from cost_app.finance.invoices import invoice_import as module
from cost_app.finance.invoices.invoice_import import Upload
from cost_app.models import InvoiceImport, InvoiceLine, LedgerKind
from tests.cost_app.finance.conftest import Book, at

Browser = Callable[[User], Client]
Compare = Callable[..., dict[tuple[int, str, str], InvoiceLine]]
USAGE = "start_time_iso,model,input_tokens,output_tokens,input_cached_tokens\n"
COSTS = "start_time_iso,amount_value,amount_currency,line_item\n"


def usage(*rows: tuple[int, str, int, int]) -> str:
    """A usage file of October: (day, model, input, output)."""
    return USAGE + "".join(f"2026-10-{day:02}T00:00:00+00:00,{model},{i},{o},0\n" for day, model, i, o in rows)


def costs(*rows: tuple[int, str, str]) -> str:
    """A cost file of October: (day, line item, dollars)."""
    return COSTS + "".join(f'2026-10-{day:02}T00:00:00+00:00,{amount},usd,"{item}"\n' for day, item, amount in rows)


@pytest.fixture
def compare(organization: Organization, upload: Callable[..., Upload]) -> Compare:
    """Uploads a file; returns its lines by day of the month, model, and class."""

    def make(text: str, provider: str = "openai") -> dict[tuple[int, str, str], InvoiceLine]:
        invoice = upload(text, provider).invoice
        with organization_scope(organization.pk):
            return {
                (line.day.day, line.model, line.token_class): line
                for line in InvoiceLine.objects.filter(invoice=invoice)
            }

    return make


def causes_by_line(found: dict[tuple[int, str, str], InvoiceLine]) -> dict[tuple[int, str, str], str]:
    return {key: line.likely_cause for key, line in found.items() if line.likely_cause}


def test_equal_line_has_no_cause(book: Book, compare: Compare) -> None:
    book(at(10, 5), 40_000, input_tokens=1_000, output_tokens=1_000)
    found = compare(usage((5, "gpt-4", 1_000, 1_000)))
    assert causes_by_line(found) == {}
    line = found[5, "gpt-4", "input"]
    assert (line.invoice_tokens, line.ledger_tokens, line.invoice_nano, line.ledger_nano) == (
        1_000,
        1_000,
        None,
        10_000,
    )
    assert found[5, "gpt-4", "output"].ledger_nano == 30_000


def test_cache_hits_are_not_part_of_a_providers_bill(book: Book, compare: Compare) -> None:
    book(at(10, 5), 40_000_000, input_tokens=1_000, output_tokens=1_000)
    book(at(10, 5), 0, kind=LedgerKind.CACHE_HIT, saved_nano=9, input_tokens=100_000, cache_read_tokens=7)
    found = compare(usage((5, "gpt-4", 1_000, 1_000)))
    assert causes_by_line(found) == {}
    assert found[5, "gpt-4", "input"].ledger_nano == 10_000_000


def test_days_are_in_utc(book: Book, compare: Compare) -> None:
    book(at(10, 4, 23), 1, input_tokens=10)  # the 5th in Berlin
    book(at(10, 5, 23), 1, input_tokens=20)  # the 6th
    with timezone.override(ZoneInfo("Europe/Berlin")):  # as in a request
        assert causes_by_line(compare(usage((4, "gpt-4", 10, 0), (5, "gpt-4", 20, 0)))) == {}


def test_dated_snapshots_are_mapped_to_their_model(book: Book, compare: Compare) -> None:
    book(at(10, 5), 1, model="gpt-4o", input_tokens=30)
    found = compare(usage((5, "gpt-4o-2024-08-06", 10, 0), (5, "gpt-4o-2024-05-13", 20, 0)))
    assert list(found) == [(5, "gpt-4o", "input")]
    assert causes_by_line(found) == {}


def test_equal_tokens_with_a_different_amount_are_a_price_difference(book: Book, compare: Compare) -> None:
    book(at(10, 5), 200_000_000, provider="deepseek", model="deepseek-chat", output_tokens=1_000_000)
    text = "utc_date,model,type,price,amount\n2026-10-05,deepseek-chat,output_tokens,0.00000028,1000000\n"
    assert causes_by_line(compare(text, "deepseek")) == {(5, "deepseek-chat", "output"): causes.PRICE}


def test_estimated_calls_are_reported_with_their_count(book: Book, compare: Compare) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    for _ in range(2):
        book(at(10, 5), 5_000, estimated=True)
    found = compare(usage((5, "gpt-4", 1_500, 0)))
    assert causes_by_line(found) == {(5, "gpt-4", "input"): causes.ESTIMATED.format(count=2)}


def test_corrections_on_following_days_are_late_bookings(book: Book, compare: Compare) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    book(at(10, 6), 5_000, input_tokens=500)
    book(at(10, 6), 2_000, kind=LedgerKind.ADJUST, input_tokens=200, calls=0)
    found = compare(usage((5, "gpt-4", 1_200, 0), (6, "gpt-4", 500, 0)))
    assert causes_by_line(found) == {(5, "gpt-4", "input"): causes.LATE, (6, "gpt-4", "input"): causes.LATE}


def test_compensating_days_are_a_time_zone_shift(book: Book, compare: Compare) -> None:
    for day, tokens in ((5, 1_000), (6, 1_000), (7, 1_000)):
        book(at(10, day), tokens, input_tokens=tokens)
    found = compare(usage((5, "gpt-4", 700, 0), (6, "gpt-4", 1_300, 0), (7, "gpt-4", 1_000, 0)))
    assert causes_by_line(found) == {(5, "gpt-4", "input"): causes.SHIFT, (6, "gpt-4", "input"): causes.SHIFT}


def test_shift_is_detected_by_amount_if_the_file_has_no_tokens(book: Book, compare: Compare) -> None:
    for day in (5, 6):
        book(at(10, day), 1_000_000_000, input_tokens=100)
    found = compare(costs((5, "gpt-4, input", "0.7"), (6, "gpt-4, input", "1.3")))
    assert set(causes_by_line(found).values()) == {causes.SHIFT}


def test_a_renamed_model_is_reported(book: Book, compare: Compare) -> None:
    book(at(10, 5), 1, model="my-deployment", input_tokens=123, output_tokens=45)
    found = compare(usage((5, "gpt-4o", 123, 45)))
    alias = {
        (5, "gpt-4o", name): causes.ALIAS.format(side="ledger", model="my-deployment") for name in ("input", "output")
    }
    back = {
        (5, "my-deployment", name): causes.ALIAS.format(side="file", model="gpt-4o") for name in ("input", "output")
    }
    assert causes_by_line(found) == alias | back


def test_usage_missing_in_the_ledger_is_outside_aiinfra(book: Book, compare: Compare) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    found = compare(usage((5, "gpt-4", 5_000, 0), (5, "o9", 70, 0)))
    assert set(causes_by_line(found).values()) == {causes.NOT_THROUGH_US}
    assert len(causes_by_line(found)) == 2


def test_usage_missing_in_the_file_is_listed(book: Book, compare: Compare) -> None:
    book(at(10, 5), 10_000, input_tokens=1_000)
    book(at(10, 6), 20_000, input_tokens=1_000)
    book(at(10, 7), 20_000, input_tokens=1_000)
    found = compare(usage((5, "gpt-4", 1_000, 0), (7, "gpt-4", 1_000, 0)))
    assert causes_by_line(found) == {(6, "gpt-4", "input"): causes.NOT_IN_FILE}
    assert (found[6, "gpt-4", "input"].invoice_tokens, found[6, "gpt-4", "input"].invoice_nano) == (0, None)


def test_a_day_that_just_ended_may_be_incomplete(book: Book, compare: Compare) -> None:
    book(at(11, 17), 10_000, input_tokens=1_000)
    text = usage((17, "gpt-4", 600, 0)).replace("2026-10", "2026-11")
    assert causes_by_line(compare(text)) == {(17, "gpt-4", "input"): causes.NOT_COMPLETE}


def test_tool_costs_have_no_tokens_in_the_ledger(compare: Compare) -> None:
    found = compare(costs((5, "web search tool calls", "0.5")))
    assert causes_by_line(found) == {(5, "web search tool calls", "other"): causes.NO_TOKENS}


def test_amounts_can_differ_by_half_a_cent_or_a_thousandth(book: Book, compare: Compare) -> None:
    book(at(10, 5), 1_004_000_000, input_tokens=1)
    book(at(10, 6), 100_090_000_000, input_tokens=1)
    book(at(10, 8), 1_006_000_000, input_tokens=1)
    found = compare(costs((5, "gpt-4, input", "1"), (6, "gpt-4, input", "100"), (8, "gpt-4, input", "1")))
    assert set(causes_by_line(found)) == {(8, "gpt-4", "input")}


def test_amounts_without_classes_are_compared_by_model(book: Book, compare: Compare) -> None:
    book(at(10, 5), 2_000_000_000, provider="deepseek", model="deepseek-chat", input_tokens=5, output_tokens=5)
    text = "utc_date,model,wallet_type,cost,currency\n2026-10-05,deepseek-chat,Paid,2.0,USD\n"
    found = compare(text, "deepseek")
    assert list(found) == [(5, "deepseek-chat", "total")]
    assert causes_by_line(found) == {}


def test_other_providers_and_organizations_are_not_compared(
    book: Book, compare: Compare, other_organization: Organization
) -> None:
    book(at(10, 5), 1, provider="deepseek", input_tokens=7)
    book(at(10, 5), 1, organization=other_organization, input_tokens=7)
    found = compare(usage((5, "gpt-4", 7, 0)))
    assert found[5, "gpt-4", "input"].ledger_tokens == 0


def test_ledger_is_read_in_one_query_for_any_file(
    organization: Organization, book: Book, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for day in range(1, 11):
        book(at(10, day), 1, input_tokens=day, model=f"m{day % 3}")
    with organization_scope(organization.pk), django_assert_num_queries(4):  # ledger and prices
        module.ledger_of("openai", date(2026, 10, 1), date(2026, 10, 31))


def test_uploading_a_file_again_returns_the_earlier_import(
    organization: Organization, upload: Callable[..., Upload]
) -> None:
    first, second = upload(usage((5, "gpt-4", 1, 1))), upload(usage((5, "gpt-4", 1, 1)))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.invoice == second.invoice
    with organization_scope(organization.pk):
        assert InvoiceLine.objects.count() == 2
        assert AuditEvent.objects.filter(verb="invoice.imported").count() == 1


def test_concurrent_uploads_import_a_file_once(organization: Organization, upload: Callable[..., Upload]) -> None:
    first = upload(usage((5, "gpt-4", 1, 1)))
    with patch.object(module, "earlier_import", side_effect=[None, first.invoice]):
        second = upload(usage((5, "gpt-4", 1, 1)))
    assert (second.is_new, second.invoice) == (False, first.invoice)
    with organization_scope(organization.pk):
        assert InvoiceImport.objects.count() == 1
