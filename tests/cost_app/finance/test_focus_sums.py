"""The lines of the FOCUS export add up to the ledger."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import LedgerEntry, ModelAlias, ToolFee
from cost_app.prices.pricing import cost_of
from tests.cost_app.finance.conftest import Book, Charges, at
from tests.cost_app.finance.focus_rules import broken_rules
from tests.cost_app.finance.priced_calls import make_attempt, make_price


def test_lines_add_up_to_the_ledger_and_never_exceed_list_cost(
    organization: Organization, book: Book, charges: Charges
) -> None:
    """Calls of many sizes and models, each rounded up to a nano-dollar."""
    prices = [make_price(model=f"m{n}", effective_from=at(9, 1), input=333_333_333 * (n + 1)) for n in range(3)]
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


@pytest.mark.parametrize("model", ["m1", "m1-2026-01-01"], ids=["model", "alias"])
def test_lines_with_1h_writes_tools_and_tiers_equal_the_ledger_at_list_price(
    organization: Organization, book: Book, charges: Charges, model: str
) -> None:
    """The calls were sent under the old fee and booked under the new one."""
    standard = make_price(effective_from=at(9, 1), input=333_333_333, cache_write_1h=2_111_111_111)
    tiers = {"batch": make_price(effective_from=at(9, 1), tier="batch", input=166_666_667, output=5)}
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
        attempt = make_attempt(organization, price=price, dispatched_at=at(10, 4), finished_at=at(10, 5))
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
