"""The FOCUS export: the contents of its lines, which add up to the ledger."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.focus import FOCUS_COLUMNS, focus_rows
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.ledger.rollups import fold
from cost_app.models import LedgerKind, ModelPrice
from tests.cost_app.finance.conftest import Book, Charges, at
from tests.cost_app.finance.priced_calls import make_attempt, make_price
from tests.cost_app.finance.test_exports import export

Browser = Callable[[User], Client]


def kinds(lines: list[dict[str, str]]) -> list[tuple[str, str, str, int]]:
    return [
        (line["x_LocalDay"], line["ChargeCategory"], line["ChargeClass"], int(line["x_BilledNano"])) for line in lines
    ]


def test_lines_of_a_model_and_day_add_up_to_its_cost(finance: User, client_of: Browser, book: Book) -> None:
    book(at(10, 5), 1_000_001, input_tokens=33, cache_read_tokens=11, output_tokens=22)
    book(
        at(10, 5), 6, model="deepseek-chat", provider="deepseek", input_tokens=7, output_tokens=1, cache_write_tokens=5
    )
    book(at(10, 6), 5, model="unknown", input_tokens=1, output_tokens=1)
    fold()
    found = export(client_of(finance), "focus")
    sums: dict[tuple[str, str], int] = {}
    for line in found:
        key = (line["x_LocalDay"], line["ResourceName"])
        sums[key] = sums.get(key, 0) + int(line["x_BilledNano"])
        assert Decimal(line["BilledCost"]) == Decimal(line["EffectiveCost"]) == Decimal(line["x_BilledNano"]).scaleb(-9)
    assert sums == {
        ("2026-10-05", "gpt-4"): 1_000_001,
        ("2026-10-05", "deepseek-chat"): 6,
        ("2026-10-06", "unknown"): 5,
    }
    assert [line["x_TokenClass"] for line in found if line["ResourceName"] == "deepseek-chat"] == [
        "input",
        "cache_write",
        "output",
    ]


def test_line_has_the_columns_of_focus(finance: User, client_of: Browser, book: Book) -> None:
    book(at(10, 5), 120_000, input_tokens=12_000)
    fold()
    [line] = export(client_of(finance), "focus")
    assert list(line) == FOCUS_COLUMNS
    expected = {
        "BilledCost": "0.00012",
        "ListCost": "0.12",
        "ListUnitPrice": "10",
        "PricingQuantity": "0.012",
        "PricingUnit": "1000000 Tokens",
        "ConsumedQuantity": "12000",
        "ConsumedUnit": "Tokens",
        "BillingCurrency": "USD",
        "BillingPeriodStart": "2026-09-30T22:00:00Z",
        "BillingPeriodEnd": "2026-10-31T23:00:00Z",
        "ChargePeriodStart": "2026-10-04T22:00:00Z",
        "ChargePeriodEnd": "2026-10-05T22:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ProviderName": "OpenAI",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "OpenAI API",
        "SkuId": "openai/gpt-4/input",
        "SubAccountId": "north",
        "RegionId": "",
        "Tags": "{}",
        "x_Tags": "[]",
        "x_User": "",
        "x_ApiKeyId": "",
    }
    assert {name: line[name] for name in expected} == expected


def test_line_uses_the_price_of_its_day(finance: User, client_of: Browser, book: Book) -> None:
    old = ModelPrice.objects.get(provider="openai", model="gpt-4")
    ModelPrice.objects.create(
        provider="openai", model="gpt-4", input=5, cache_read=5, cache_write=5, output=5, source="test",
        effective_from=at(10, 6, 9),
    )  # fmt: skip
    for day in (5, 6):
        book(at(10, day), 100, input_tokens=1)
    fold()
    prices = [line["ListUnitPrice"] for line in export(client_of(finance), "focus")]
    assert prices == [f"{old.input // 10**9}", "0.000000005"]


def test_cache_hits_are_not_consumption(book: Book, charges: Charges) -> None:
    book(at(10, 5), 40_000_000, input_tokens=1_000, output_tokens=1_000)
    book(at(10, 5), 0, kind=LedgerKind.CACHE_HIT, saved_nano=9, input_tokens=100_000, output_tokens=100_000)
    found = {line["x_TokenClass"]: line for line in charges()}
    assert {name: line["ConsumedQuantity"] for name, line in found.items()} == {"input": "1000", "output": "1000"}
    assert {name: (line["BilledCost"], line["ListCost"]) for name, line in found.items()} == {
        "input": ("0.01", "0.01"),
        "output": ("0.03", "0.03"),
    }


def test_a_correction_is_a_separate_line(book: Book, charges: Charges) -> None:
    book(at(10, 5), 1_000_000_000, input_tokens=100_000)
    book(at(10, 5), 3_000_000_000, kind=LedgerKind.ADJUST, calls=0)
    book(at(10, 6), -900, kind=LedgerKind.ADJUST, calls=0, input_tokens=5)
    found = charges()
    assert kinds(found) == [
        ("2026-10-05", "Usage", "", 1_000_000_000),
        ("2026-10-05", "Adjustment", "", 3_000_000_000),
        ("2026-10-06", "Adjustment", "", -900),
    ]
    assert [(line["ConsumedQuantity"], line["x_Tokens"]) for line in found] == [
        ("100000", "100000"), ("", "0"), ("", "5"),
    ]  # fmt: skip


def test_entries_of_a_closed_month_are_corrections(organization: Organization, book: Book, charges: Charges) -> None:
    book(at(10, 5), 10, input_tokens=1)
    one, other = (make_attempt(organization, finished_at=at(10, 5)) for _ in range(2))
    book(at(11, 2), 4, kind=LedgerKind.ADJUST, calls=0, attempt=one)
    fold()
    with organization_scope(organization.pk):
        month = find_month(organization.pk, "2026-10-01")
        assert month
        close_month(organization=organization, month=month, actor="user:finance")  # on November 18
    book(at(10, 6), 5, kind=LedgerKind.EXTERNAL, input_tokens=1)
    book(at(11, 19), -3, kind=LedgerKind.ADJUST, calls=0, attempt=other)
    book(at(11, 19), 7, input_tokens=1)
    assert kinds(charges(last=date(2026, 11, 30))) == [
        ("2026-10-05", "Usage", "", 10),
        ("2026-10-06", "Usage", "Correction", 5),
        ("2026-11-02", "Adjustment", "", 4),
        ("2026-11-19", "Usage", "", 7),
        ("2026-11-19", "Adjustment", "Correction", -3),
    ]


def test_expired_price_is_not_the_list_price_of_later_calls(book: Book, charges: Charges) -> None:
    make_price(effective_from=at(9, 1))
    make_price(effective_from=at(10, 1), effective_to=at(10, 10), input=10**8)
    for day, nano in ((5, 100), (15, 1000)):
        book(at(10, day), nano, provider="fake", model="m1", input_tokens=1)
    assert [(line["ListUnitPrice"], line["ListCost"], line["BilledCost"]) for line in charges()] == [
        ("0.1", "0.0000001", "0.0000001"),
        ("1", "0.000001", "0.000001"),
    ]


def test_long_prompts_have_a_separate_list_price(book: Book, charges: Charges) -> None:
    long = {"above": 1_000, "input": 2 * 10**9, "cache_read": 0, "cache_write": 0, "output": 0}
    make_price(effective_from=at(9, 1), long_prompts=[long])
    book(at(10, 5), 1_000_000, provider="fake", model="m1", input_tokens=1_000)
    book(at(10, 5), 4_000_000, provider="fake", model="m1", input_tokens=2_000)
    assert [(line["ListUnitPrice"], line["ConsumedQuantity"], line["ListCost"]) for line in charges()] == [
        ("1", "1000", "0.001"),
        ("2", "2000", "0.004"),
    ]


def test_a_repriced_call_keeps_its_billed_list_price(organization: Organization, book: Book, charges: Charges) -> None:
    make_price(effective_from=at(9, 1))
    new = make_price(effective_from=at(9, 2), input=3 * 10**8)
    attempt = make_attempt(organization, price=new, finished_at=at(10, 5))
    book(at(10, 5), 1_000, provider="fake", model="m1", input_tokens=1, attempt=attempt)
    book(at(10, 9), -700, provider="fake", model="m1", attempt=attempt, kind=LedgerKind.ADJUST, calls=0)
    assert [(line["ListUnitPrice"], line["ListCost"], line["BilledCost"]) for line in charges()] == [
        ("1", "0.000001", "0.000001"),
        ("", "-0.0000007", "-0.0000007"),
    ]


def test_overrun_is_part_of_its_call_s_line(organization: Organization, book: Book, charges: Charges) -> None:
    attempt = make_attempt(organization, finished_at=at(10, 5))
    make_price(effective_from=at(9, 1))
    call = {"provider": "fake", "model": "m1", "attempt": attempt}
    book(at(10, 5), 600, input_tokens=1, **call)
    book(at(10, 5), 400, kind=LedgerKind.OVERRUN, calls=0, **call)
    assert [(line["BilledCost"], line["ListCost"]) for line in charges()] == [("0.000001", "0.000001")]


def test_call_with_an_unknown_outcome_is_measured_in_calls(book: Book, charges: Charges) -> None:
    book(at(10, 5), 700, estimated=True)
    book(at(10, 5), 0, kind=LedgerKind.FAILED)
    [line] = charges()
    assert [line[name] for name in ("ConsumedQuantity", "ConsumedUnit", "PricingUnit", "ListCost", "SkuId")] == [
        "2", "Calls", "Calls", "0.0000007", "openai/gpt-4/calls",
    ]  # fmt: skip


def test_lines_include_key_user_and_tags(organization: Organization, book: Book, charges: Charges) -> None:
    key, _ = create_key(organization=organization, name="shop", role=Role.VIEWER, actor="command:test")
    for owner in (
        {"api_key": key, "user_ref": "anna", "tags": ["web", "eu"]},
        {"user_ref": "ben"},
        {"user_ref": "ben"},
    ):
        book(at(10, 5), 10, input_tokens=1, **owner)
    names = ("x_ApiKeyId", "x_ApiKeyName", "x_User", "x_Tags", "Tags", "ConsumedQuantity")
    assert [[line[name] for name in names] for line in charges()] == [
        ["", "", "ben", "[]", "{}", "2"],
        [key.key_id, "shop", "anna", '["eu", "web"]', '{"eu": true, "web": true}', "1"],
    ]


def test_a_demo_organization_is_tagged(organization: Organization, book: Book, charges: Charges) -> None:
    organization.is_demo = True
    book(at(10, 5), 10, input_tokens=1, tags=["demo"])
    assert json.loads(charges()[0]["Tags"]) == {"demo": True, "aiinfra:demo": True}


def test_export_runs_the_same_number_of_queries_with_more_days(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries, book: Book
) -> None:
    book(at(10, 5), 1, input_tokens=1)
    with organization_scope(organization.pk), django_assert_num_queries(9):
        assert len(list(focus_rows(organization, date(2026, 10, 1), date(2026, 10, 31)))) == 1
    for day in range(6, 15):
        book(at(10, day), 1, input_tokens=1)
    with organization_scope(organization.pk), django_assert_num_queries(9):
        assert len(list(focus_rows(organization, date(2026, 10, 1), date(2026, 10, 31)))) == 10
