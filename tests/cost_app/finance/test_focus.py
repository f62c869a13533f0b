"""The FOCUS export: each line says what is so, and all lines together are the ledger."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.focus import FOCUS_COLUMNS, focus_rows
from cost_app.finance.month_close import close_month
from cost_app.finance.months import find_month
from cost_app.ledger.rollups import fold
from cost_app.models import Attempt, AttemptState, LedgerEntry, LedgerKind, ModelAlias, ModelPrice, ToolFee
from cost_app.prices.pricing import cost_of
from tests.cost_app.finance.conftest import Book, Charges, at
from tests.cost_app.finance.focus_rules import broken_rules
from tests.cost_app.finance.test_exports import export

Browser = Callable[[User], Client]


def kinds(lines: list[dict[str, str]]) -> list[tuple[str, str, str, int]]:
    return [
        (line["x_LocalDay"], line["ChargeCategory"], line["ChargeClass"], int(line["x_BilledNano"])) for line in lines
    ]


def test_the_lines_of_a_models_day_add_up_to_its_cost(finance: User, client_of: Browser, book: Book) -> None:
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


def test_a_line_has_the_columns_of_focus(finance: User, client_of: Browser, book: Book) -> None:
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


def test_the_price_of_a_line_is_the_one_of_its_day(finance: User, client_of: Browser, book: Book) -> None:
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


def test_bookings_on_a_closed_month_are_corrections(organization: Organization, book: Book, charges: Charges) -> None:
    book(at(10, 5), 10, input_tokens=1)
    one, other = (_attempt(organization, finished_at=at(10, 5)) for _ in range(2))
    book(at(11, 2), 4, kind=LedgerKind.ADJUST, calls=0, attempt=one)
    fold()
    with organization_scope(organization.pk):
        month = find_month(organization.pk, "2026-10-01")
        assert month
        close_month(organization=organization, month=month, actor="user:finance")  # on the 18th of November
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


def _attempt(organization: Organization, **columns: object) -> Attempt:
    with organization_scope(organization.pk):
        return Attempt.objects.create(
            organization=organization, provider="openai", model="gpt-4", state=AttemptState.SETTLED, bound_nano=0,
            request_id=uuid4(), **columns,
        )  # fmt: skip


def _price(**columns: object) -> ModelPrice:
    amounts = {"input": 10**9, "cache_read": 10**8, "cache_write": 1_250_000_000, "output": 10**10}
    return ModelPrice.objects.create(**{"provider": "fake", "model": "m1", "source": "test", **amounts, **columns})


def test_an_ended_price_is_not_the_list_price_of_later_calls(book: Book, charges: Charges) -> None:
    _price(effective_from=at(9, 1))
    _price(effective_from=at(10, 1), effective_to=at(10, 10), input=10**8)
    for day, nano in ((5, 100), (15, 1000)):
        book(at(10, day), nano, provider="fake", model="m1", input_tokens=1)
    assert [(line["ListUnitPrice"], line["ListCost"], line["BilledCost"]) for line in charges()] == [
        ("0.1", "0.0000001", "0.0000001"),
        ("1", "0.000001", "0.000001"),
    ]


def test_long_prompts_have_a_separate_list_price(book: Book, charges: Charges) -> None:
    long = {"above": 1_000, "input": 2 * 10**9, "cache_read": 0, "cache_write": 0, "output": 0}
    _price(effective_from=at(9, 1), long_prompts=[long])
    book(at(10, 5), 1_000_000, provider="fake", model="m1", input_tokens=1_000)
    book(at(10, 5), 4_000_000, provider="fake", model="m1", input_tokens=2_000)
    assert [(line["ListUnitPrice"], line["ConsumedQuantity"], line["ListCost"]) for line in charges()] == [
        ("1", "1000", "0.001"),
        ("2", "2000", "0.004"),
    ]


def test_a_repriced_call_keeps_its_billed_list_price(organization: Organization, book: Book, charges: Charges) -> None:
    _price(effective_from=at(9, 1))
    new = _price(effective_from=at(9, 2), input=3 * 10**8)
    attempt = _attempt(organization, price=new, finished_at=at(10, 5))
    book(at(10, 5), 1_000, provider="fake", model="m1", input_tokens=1, attempt=attempt)
    book(at(10, 9), -700, provider="fake", model="m1", attempt=attempt, kind=LedgerKind.ADJUST, calls=0)
    assert [(line["ListUnitPrice"], line["ListCost"], line["BilledCost"]) for line in charges()] == [
        ("1", "0.000001", "0.000001"),
        ("", "-0.0000007", "-0.0000007"),
    ]


def test_an_overrun_is_part_of_its_calls_line(organization: Organization, book: Book, charges: Charges) -> None:
    attempt = _attempt(organization, finished_at=at(10, 5))
    _price(effective_from=at(9, 1))
    call = {"provider": "fake", "model": "m1", "attempt": attempt}
    book(at(10, 5), 600, input_tokens=1, **call)
    book(at(10, 5), 400, kind=LedgerKind.OVERRUN, calls=0, **call)
    assert [(line["BilledCost"], line["ListCost"]) for line in charges()] == [("0.000001", "0.000001")]


def test_a_call_with_an_unknown_outcome_is_measured_in_calls(book: Book, charges: Charges) -> None:
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


def test_lines_add_up_to_the_ledger_and_never_exceed_list_cost(
    organization: Organization, book: Book, charges: Charges
) -> None:
    """Calls of many sizes and models, each rounded up to a nano-dollar."""
    prices = [_price(model=f"m{n}", effective_from=at(9, 1), input=333_333_333 * (n + 1)) for n in range(3)]
    for number in range(60):
        price = prices[number % 3]
        usage = TokenUsage(number * 7 % 5, number % 2, number % 3, number * 13 % 11)
        book(
            at(10, 5) + timedelta(hours=number), cost_of(usage, price), provider="fake", model=price.model,
            user_ref=f"u{number % 4}", input_tokens=usage.input, cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write, output_tokens=usage.output,
        )  # fmt: skip
    found = charges()
    with organization_scope(organization.pk):
        entries = list(LedgerEntry.objects.all())
    assert sum(int(line["x_BilledNano"]) for line in found) == sum(entry.nano for entry in entries)
    assert sum(int(line["ConsumedQuantity"]) for line in found) == sum(
        entry.input_tokens + entry.cache_read_tokens + entry.cache_write_tokens + entry.output_tokens
        for entry in entries
    )
    for line in found:
        assert Decimal(line["ListCost"]) >= Decimal(line["BilledCost"]) >= 0
        exact = Decimal(line["ListUnitPrice"]) * Decimal(line["PricingQuantity"])
        assert abs(Decimal(line["ListCost"]) - exact) < Decimal("0.00000001")


USAGES = [
    {"input_tokens": 7, "cache_write_tokens": 11, "cache_write_1h_tokens": 4, "output_tokens": 3},
    {"cache_write_tokens": 5, "cache_write_1h_tokens": 5, "tool_uses": {"web_search": 2, "file_search": 1}},
    {"input_tokens": 1, "tool_uses": {"web_search": 3}, "tier": "flex"},
    {"input_tokens": 2, "output_tokens": 2, "tier": "batch"},
    {"tool_uses": {"web_search": 1}},
    {"input_tokens": 9, "tool_uses": {"web_search": 1, "shell": 4}},
]


@pytest.mark.parametrize("model", ["m1", "m1-2026-01-01"], ids=["its own name", "an alias"])
def test_lines_of_1h_writes_tools_and_tiers_equal_the_ledger_at_list_price(
    organization: Organization, book: Book, charges: Charges, model: str
) -> None:
    """A call left under the old fee and was booked under the new one."""
    standard = _price(effective_from=at(9, 1), input=333_333_333, cache_write_1h=2_111_111_111)
    tiers = {"batch": _price(effective_from=at(9, 1), tier="batch", input=166_666_667, output=5)}
    ModelAlias.objects.create(
        provider="fake", alias="m1-2026-01-01", model="m1", state="approved", effective_from=at(9, 1)
    )
    for tool, fee, since in (
        ("web_search", 1_001, at(9, 1)),
        ("web_search", 9, at(10, 5)),
        ("file_search", 7, at(9, 1)),
    ):
        ToolFee.objects.create(provider="fake", tool=tool, nano_per_use=fee, effective_from=since)
    booked = 0
    for number, columns in enumerate(USAGES):
        usage = LedgerEntry(**columns).usage
        price = tiers.get(usage.tier, standard)
        attempt = _attempt(organization, price=price, dispatched_at=at(10, 4), finished_at=at(10, 5))
        nano = cost_of(usage, price, fees={"web_search": 1_001, "file_search": 7})
        booked += nano
        book(at(10, 5, 10 + number), nano, provider="fake", model=model, attempt=attempt, **columns)
    found = charges()
    assert sum(int(line["x_BilledNano"]) for line in found) == booked
    assert all(Decimal(line["ListCost"]) >= Decimal(line["BilledCost"]) for line in found)
    assert [wrong for line in found for wrong in broken_rules(line)] == []
    quantity: Counter[str] = Counter()
    for line in found:
        quantity[line["SkuMeter"]] += int(line["ConsumedQuantity"])
    assert quantity == {
        "Input Tokens": 19,
        "Cache Write Tokens": 7,
        "1-Hour Cache Write Tokens": 9,
        "Output Tokens": 5,
        "Web Search Uses": 7,
        "File Search Uses": 1,
        "Shell Uses": 4,
    }
    fees = {line["ListUnitPrice"] for line in found if line["SkuMeter"] == "Web Search Uses"}
    assert fees == {"0.000001001"}
    assert {line["SkuPriceDetails"] for line in found} == {
        "", '{"x_ServiceTier": "flex"}', '{"x_ServiceTier": "batch"}',
    }  # fmt: skip


def test_a_demo_organization_is_tagged(organization: Organization, book: Book, charges: Charges) -> None:
    organization.is_demo = True
    book(at(10, 5), 10, input_tokens=1, tags=["demo"])
    assert json.loads(charges()[0]["Tags"]) == {"demo": True, "aiinfra:demo": True}


def test_an_export_takes_the_same_queries_for_one_and_ten_days(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries, book: Book
) -> None:
    book(at(10, 5), 1, input_tokens=1)
    with organization_scope(organization.pk), django_assert_num_queries(9):
        assert len(list(focus_rows(organization, date(2026, 10, 1), date(2026, 10, 31)))) == 1
    for day in range(6, 15):
        book(at(10, day), 1, input_tokens=1)
    with organization_scope(organization.pk), django_assert_num_queries(9):
        assert len(list(focus_rows(organization, date(2026, 10, 1), date(2026, 10, 31)))) == 10
