"""FOCUS 1.2, the FinOps Open Cost and Usage Specification (focus.finops.org), as a CSV file.

See `focus_charges` for what a line is. Costs are split in proportion to tokens x list price (largest remainder
method), so that a day's lines add up exactly to its cost in the ledger. Columns that don't apply stay empty: FOCUS 1.0
and the tools that read it expect them.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from django.http import StreamingHttpResponse

from aiinfra.csv_stream import csv_response
from aiinfra.money import dollars
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.focus_charges import Charge, Charges, Closing, Segment
from cost_app.finance.month_close import figure
from cost_app.finance.months import calendar_of, closed_month
from cost_app.models import MonthClose

FOCUS_COLUMNS = [
    "AvailabilityZone",
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
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
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
    "x_ApiKeyId",
    "x_ApiKeyName",
    "x_BilledNano",
    "x_LocalDay",
    "x_Tags",
    "x_TokenClass",
    "x_Tokens",
    "x_User",
]
PROVIDER_NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "deepseek": "DeepSeek"}
METERS = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write": "Cache Write Tokens",
    "cache_write_1h": "1-Hour Cache Write Tokens",
    "output": "Output Tokens",
}
PRICING_UNIT = "1000000 Tokens"
USES = "Uses"
"""Unit of tools that are billed per use."""
CALLS = "Calls"
"""Meter and unit of calls with an unknown outcome, which are billed at their upper bound, without tokens."""
NO_DETAILS = ("", "standard")
"""Service tiers that are not stated in a line."""
DEMO_TAG = "aiinfra:demo"
"""Has the prefix that FOCUS requires for tags not set by the customer."""


def focus_csv(organization: Organization, first: date, last: date) -> StreamingHttpResponse:
    """The charges of the organization's days `first` to `last`, inclusive."""
    return csv_response(
        organization.pk,
        f"focus-1.2_{organization.slug}_{first}_{last}.csv",
        FOCUS_COLUMNS,
        lambda: focus_rows(organization, first, last),
    )


def focus_rows(organization: Organization, first: date, last: date) -> Iterator[list[object]]:
    """The lines of a range of days, with the columns in `FOCUS_COLUMNS`. Needs the organization's scope."""
    calendar = calendar_of(organization.pk)
    yield from _rows(organization, calendar, calendar.begin_of(first), calendar.begin_of(last + ONE_DAY))


def focus_between(organization: Organization, starts_at: datetime, ends_at: datetime) -> Iterator[list[object]]:
    """The same from `start` (inclusive) to `end` (exclusive)."""
    yield from _rows(organization, calendar_of(organization.pk), starts_at, ends_at)


def _rows(
    organization: Organization, calendar: Calendar, starts_at: datetime, ends_at: datetime
) -> Iterator[list[object]]:
    charges = Charges(organization.pk, calendar, closings_of(organization.pk, calendar))
    keys = {key.pk: key for key in ApiKey.objects.filter(organization=organization)}
    account = _account(organization)
    for charge in charges.between(starts_at, ends_at):
        key = keys.get(charge.owner.api_key_id or 0)
        cells = {
            **account,
            **_period(charge.segment),
            **_charge(charge),
            **_service(charge),
            **_owner(charge, key, is_demo=organization.is_demo),
        }
        yield [cells.get(name) for name in FOCUS_COLUMNS]


def closings_of(organization_id: int, calendar: Calendar) -> list[Closing]:
    """The organization's closed months. They distinguish corrections from current charges."""
    return [
        Closing(closed_month(close, calendar), close.closed_at, figure(close, "ledger", "max_id") or 0)
        for close in MonthClose.objects.filter(organization_id=organization_id).order_by("first_day")
    ]


def _account(organization: Organization) -> dict[str, object]:
    return {
        "BillingAccountId": organization.slug,
        "BillingAccountName": organization.name,
        "BillingAccountType": "Organization",
        "BillingCurrency": "USD",
        "SubAccountId": organization.slug,
        "SubAccountName": organization.name,
        "SubAccountType": "Organization",
    }


def _period(segment: Segment) -> dict[str, object]:
    return {
        "BillingPeriodStart": _utc(segment.month.starts_at),
        "BillingPeriodEnd": _utc(segment.month.ends_at),
        "ChargePeriodStart": _utc(segment.starts_at),
        "ChargePeriodEnd": _utc(segment.ends_at),
        "x_LocalDay": segment.day.isoformat(),
    }


def _owner(charge: Charge, key: ApiKey | None, *, is_demo: bool) -> dict[str, object]:
    """FOCUS tags are key-value pairs. Our tags have no values, so each value is true."""
    tags = dict.fromkeys(json.loads(charge.owner.tags), True)
    return {
        "Tags": json.dumps({**tags, **({DEMO_TAG: True} if is_demo else {})}, ensure_ascii=False),
        "x_ApiKeyId": key.key_id if key else None,
        "x_ApiKeyName": key.name if key else None,
        "x_Tags": charge.owner.tags,
        "x_User": charge.owner.user,
    }


def _charge(charge: Charge) -> dict[str, object]:
    billed = dollars(charge.nano)
    listed = billed if charge.list_dollars is None else _text(charge.list_dollars)
    return {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ListCost": listed,
        "ContractedCost": listed,
        "ChargeClass": "Correction" if charge.is_correction else None,
        "x_BilledNano": charge.nano,
        "x_TokenClass": charge.token_class,
        "x_Tokens": charge.tokens,
        **(_usage(charge) if charge.is_usage else _adjustment(charge)),
    }


def _adjustment(charge: Charge) -> dict[str, object]:
    return {
        "ChargeCategory": "Adjustment",
        "ChargeDescription": f"Corrections of earlier bookings of {charge.owner.model}",
        "ChargeFrequency": "One-Time",
    }


def _usage(charge: Charge) -> dict[str, object]:
    meter, quantity, unit = _metered(charge)
    exponent = -9 if charge.token_class else -15  # the rate is per million, other prices are of one unit
    unit_price = None if charge.rate is None else _text(Decimal(charge.rate).scaleb(exponent))
    return {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{meter} of {charge.owner.model}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingCategory": _pricing_category(charge),
        "PricingQuantity": _text(Decimal(quantity).scaleb(-6)) if charge.token_class else quantity,
        "PricingUnit": PRICING_UNIT if charge.token_class else unit,
        "ListUnitPrice": unit_price,
        "ContractedUnitPrice": unit_price,
        "SkuMeter": meter,
        "SkuPriceDetails": json.dumps({"x_ServiceTier": charge.tier}) if charge.tier not in NO_DETAILS else None,
        "SkuPriceId": f"{_sku(charge)}/{charge.price.pk}" if charge.price else _sku(charge),
    }


def _metered(charge: Charge) -> tuple[str, int, str]:
    """The meter, the quantity and the unit."""
    if charge.token_class:
        return METERS[charge.token_class], charge.tokens, "Tokens"
    if charge.tool:
        return f"{charge.tool.replace('_', ' ').title()} {USES}", charge.uses, USES
    return CALLS, charge.calls, CALLS


def _pricing_category(charge: Charge) -> str:
    """ "Dynamic" if the price depends on the hour of the week, "Other" without a price."""
    if charge.price is None or charge.rate is None:
        return "Other"
    return "Dynamic" if charge.price.window else "Standard"


def _service(charge: Charge) -> dict[str, object]:
    name = PROVIDER_NAMES.get(charge.owner.provider, charge.owner.provider)
    return {
        "ProviderName": name,
        "PublisherName": name,
        "InvoiceIssuerName": name,
        "ServiceName": f"{name} API",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ResourceId": f"{charge.owner.provider}/{charge.owner.model}",
        "ResourceName": charge.owner.model,
        "ResourceType": "Model",
        "SkuId": _sku(charge),
    }


def _sku(charge: Charge) -> str:
    kind = charge.token_class or charge.tool or ("calls" if charge.is_usage else "correction")
    return f"{charge.owner.provider}/{charge.owner.model}/{kind}"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(amount: Decimal) -> str:
    """Exact, and never in scientific notation."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
