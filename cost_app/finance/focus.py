"""FOCUS 1.2, the FinOps Open Cost and Usage Specification (focus.finops.org): lines by day, model and token class.

Made from the days' sums alone. They know what a model cost on a day, not what its input did; a day's cost is split by
tokens x list price, by the largest remainder, so that the lines of a model's day add up to its cost exactly.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from django.http import StreamingHttpResponse

from aiinfra.money import dollars
from aiinfra.tenants.models import Organization
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.allocation import TOKEN_CLASSES, PriceList, allocate, weights_of
from cost_app.finance.csv_stream import csv_response
from cost_app.finance.months import calendar_of, month_from
from cost_app.models import Dimension, ModelPrice, UsageDay

FOCUS_COLUMNS = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_BilledNano",
    "x_LocalDay",
    "x_TokenClass",
]
PROVIDER_NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "deepseek": "DeepSeek"}
METERS = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write": "Cache Write Tokens",
    "output": "Output Tokens",
}
PRICING_UNIT = "1000000 Tokens"


@dataclass(frozen=True)
class Charge:
    """One line: what a token class of a model's day cost, or a correction. Amounts in nano-dollars."""

    provider: str
    model: str
    day: date
    nano: int
    token_class: str = ""
    tokens: int = 0
    price: ModelPrice | None = None

    @property
    def unit_price(self) -> int | None:
        """Nano-dollars per million tokens."""
        return getattr(self.price, self.token_class) if self.price and self.token_class else None


def focus_csv(organization: Organization, first: date, last: date) -> StreamingHttpResponse:
    """The charges of the organization's days `first` to `last`, both included."""
    return csv_response(
        organization.pk,
        f"focus-1.2_{organization.slug}_{first}_{last}.csv",
        FOCUS_COLUMNS,
        lambda: focus_rows(organization, first, last),
    )


def focus_rows(organization: Organization, first: date, last: date) -> Iterator[list[object]]:
    """The lines of some days in the order of `FOCUS_COLUMNS`; needs the organization's scope."""
    calendar, prices = calendar_of(organization.pk), PriceList()
    days = UsageDay.objects.filter(
        organization=organization, dimension=Dimension.MODEL, day__gte=first, day__lte=last
    ).order_by("day", "value")
    for usage in days.iterator():
        for charge in charges_of(usage, calendar, prices):
            cells = {**_account(organization), **_period(charge.day, calendar), **_charge(charge), **_service(charge)}
            yield [cells.get(name) for name in FOCUS_COLUMNS]


def charges_of(usage: UsageDay, calendar: Calendar, prices: PriceList) -> list[Charge]:
    """The lines of one model's day; they add up to its cost exactly.

    A day without tokens, or with a negative cost, holds corrections that no token class is the cause of: its whole cost
    is a line of its own then, and the tokens are charged with nothing.
    """
    provider, _, model = usage.value.partition("/")
    price = prices.price(provider, model, calendar.begin_of(usage.day + ONE_DAY))
    tokens = {name: getattr(usage, f"{name}_tokens") for name in TOKEN_CLASSES}
    weights = weights_of(tokens, price)
    charged = usage.nano if any(weights) and usage.nano >= 0 else 0
    parts = allocate(charged, weights)
    charges = [
        Charge(provider, model, usage.day, part, name, tokens[name], price)
        for name, part in zip(TOKEN_CLASSES, parts, strict=True)
        if tokens[name]
    ]
    if usage.nano != charged:
        charges.append(Charge(provider, model, usage.day, usage.nano - charged))
    return charges


def _account(organization: Organization) -> dict[str, object]:
    return {
        "BillingAccountId": organization.slug,
        "BillingAccountName": organization.name,
        "BillingAccountType": "Organization",
        "BillingCurrency": organization.currency,
        "SubAccountId": organization.slug,
        "SubAccountName": organization.name,
        "SubAccountType": "Organization",
        "Tags": json.dumps({"demo": "true"} if organization.is_demo else {}),
    }


def _period(day: date, calendar: Calendar) -> dict[str, object]:
    month = month_from(calendar, day)
    return {
        "BillingPeriodStart": _utc(month.starts_at),
        "BillingPeriodEnd": _utc(month.ends_at),
        "ChargePeriodStart": _utc(calendar.begin_of(day)),
        "ChargePeriodEnd": _utc(calendar.begin_of(day + ONE_DAY)),
        "x_LocalDay": day.isoformat(),
    }


def _charge(charge: Charge) -> dict[str, object]:
    billed = dollars(charge.nano)
    cells: dict[str, object] = {"BilledCost": billed, "EffectiveCost": billed, "x_BilledNano": charge.nano}
    if not charge.token_class:
        return {
            **cells,
            "ChargeCategory": "Adjustment",
            "ChargeClass": "Correction",
            "ChargeDescription": f"Corrections of earlier bookings of {charge.model}",
            "ChargeFrequency": "One-Time",
            "ListCost": billed,
            "ContractedCost": billed,
        }
    unit_price = None if charge.unit_price is None else _text(Decimal(charge.unit_price).scaleb(-9))
    list_cost = billed if charge.unit_price is None else _text(Decimal(charge.tokens * charge.unit_price).scaleb(-15))
    return {
        **cells,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{METERS[charge.token_class]} of {charge.model}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": charge.tokens,
        "ConsumedUnit": "Tokens",
        "PricingCategory": "Standard" if charge.price else "Other",
        "PricingQuantity": _text(Decimal(charge.tokens).scaleb(-6)),
        "PricingUnit": PRICING_UNIT,
        "ListUnitPrice": unit_price,
        "ContractedUnitPrice": unit_price,
        "ListCost": list_cost,
        "ContractedCost": list_cost,
        "SkuMeter": METERS[charge.token_class],
        "SkuPriceId": f"{_sku(charge)}/{charge.price.pk}" if charge.price else None,
        "x_TokenClass": charge.token_class,
    }


def _service(charge: Charge) -> dict[str, object]:
    name = PROVIDER_NAMES.get(charge.provider, charge.provider)
    return {
        "ProviderName": name,
        "PublisherName": name,
        "InvoiceIssuerName": name,
        "ServiceName": f"{name} API",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ResourceId": f"{charge.provider}/{charge.model}",
        "ResourceName": charge.model,
        "ResourceType": "Model",
        "SkuId": _sku(charge),
    }


def _sku(charge: Charge) -> str:
    return f"{charge.provider}/{charge.model}/{charge.token_class or 'correction'}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(amount: Decimal) -> str:
    """Exact, and never in scientific notation."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
