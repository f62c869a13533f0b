"""Rules of FOCUS, from https://focus.finops.org and the public focus-validator."""

import json
from datetime import datetime
from decimal import Decimal

NEVER_EMPTY = [
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
"""Columns that FOCUS 1.0 requires to have a value in every row."""
MAY_BE_EMPTY = [
    "AvailabilityZone",
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
]
VALUES = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"", "Standard", "Dynamic", "Committed", "Other"},
    "BillingCurrency": {"USD"},
    "ServiceCategory": {"AI and Machine Learning"},
}
WITH_USAGE = ("ConsumedQuantity", "ConsumedUnit", "PricingCategory", "PricingQuantity", "PricingUnit", "SkuId")


def broken_rules(line: dict[str, str]) -> list[str]:
    """The rules that a line breaks."""
    wrong = [f"{name} is empty" for name in NEVER_EMPTY if not line[name]]
    wrong += [f"{name} is missing" for name in MAY_BE_EMPTY if name not in line]
    wrong += [f"{name} is {line[name]}" for name, values in VALUES.items() if line[name] not in values]
    for name in line:
        if name.endswith(("Cost", "Quantity", "UnitPrice")) and line[name]:
            Decimal(line[name])
        if name.endswith(("PeriodStart", "PeriodEnd")):
            assert line[name].endswith("Z") and datetime.fromisoformat(line[name])
    if line["ChargeCategory"] == "Usage":
        wrong += [f"{name} is empty" for name in (*WITH_USAGE, "SkuPriceId", "SkuMeter") if not line[name]]
    else:
        wrong += [f"{name} is set" for name in ("ConsumedQuantity", "ConsumedUnit") if line[name]]
    if line["PricingCategory"] == "Standard" and not line["ListUnitPrice"]:
        wrong.append("ListUnitPrice is empty")
    edges = [line[name] for name in ("BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodEnd")]
    if edges != sorted(edges) or edges[1] == edges[2]:
        wrong.append("the charge is not within its billing period")
    if not all(value in (True, None) or isinstance(value, str | int) for value in json.loads(line["Tags"]).values()):
        wrong.append("Tags is not an object of plain values")
    return wrong
